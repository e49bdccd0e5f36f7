from __future__ import annotations

import argparse
import os

from .. import dump_all_records
from .._errors import MemrayCommandError


class ParseCommand:
    """Debug a results file by parsing and printing each record in it"""

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("results", help="Results of the tracker run")

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        if os.isatty(1):
            raise MemrayCommandError("You must redirect stdout to a file or shell pipeline.", exit_code=1)
        try:
            dump_all_records(args.results)
        except BrokenPipeError:
            # Who reads has seen what it wanted.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except OSError as error:
            reason = f"Failed to parse allocation records in {args.results}\nReason: {error}"
            raise MemrayCommandError(reason, exit_code=1) from None
