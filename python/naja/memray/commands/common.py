"""Reports that are written to a file: which file, and of which memory."""

from __future__ import annotations

import argparse
from pathlib import Path

from .._errors import MemrayCommandError
from . import _naja


class HighWatermarkCommand:
    reporter_name = ""
    suffix = ".html"

    def __init__(self) -> None:
        self.output_file: Path | None = None

    def determine_output_filename(self, results_file: Path) -> Path:
        name = results_file.with_suffix(self.suffix).name.removeprefix("memray-")
        return results_file.parent / f"memray-{self.reporter_name}-{name}"

    def validate_filenames(self, output: str | None, results: str, overwrite: bool = False) -> tuple[Path, Path]:
        result_path = _naja.existing(results)
        output_file = self.determine_output_filename(result_path) if output is None else Path(output)
        if output_file.exists() and not overwrite:
            raise MemrayCommandError(
                f"File already exists, will not overwrite without --force: {output_file}", exit_code=1
            )
        return result_path, output_file

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("-o", "--output", default=None, help="Output file name")
        parser.add_argument(
            "-f", "--force", action="store_true", default=False, help="If the output file exists, overwrite it"
        )
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--leaks",
            action="store_true",
            default=False,
            dest="show_memory_leaks",
            help="Show memory leaks, instead of peak memory usage",
        )
        _naja.add_temporary_options(group)
        parser.add_argument("results", help="Results of the tracker run")

    def run(self, args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
        if getattr(args, "temporal", False) and args.temporary_allocation_threshold >= 0:
            parser.error("Can't create a temporal flame graph of temporary allocations")
        result_path, self.output_file = self.validate_filenames(args.output, args.results, args.force)
        self.write(args, result_path, self.output_file.expanduser())
        print(f"Wrote {self.output_file}")

    def write(self, args: argparse.Namespace, result_path: Path, output_file: Path) -> None:
        """By default a page of naja's, with its own time line: every moment can be picked in it."""
        words = [self.reporter_name, _naja.recording(str(result_path)), "-o", output_file]
        words += _naja.shown(args.show_memory_leaks, args.temporary_allocation_threshold)
        words += ["--inverted"] * getattr(args, "inverted", False)
        words += ["--split-threads"] * getattr(args, "split_threads", False)
        _naja.run(words, is_quiet=True)
