from __future__ import annotations

import argparse

from .common import HighWatermarkCommand


class TableCommand(HighWatermarkCommand):
    """Generate an HTML table with all records in the peak memory usage"""

    reporter_name = "table"

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        super().prepare_parser(parser)
        parser.add_argument("--split-threads", action="store_true", default=False, help="Keep threads apart")
        parser.add_argument(
            "--no-web", action="store_true", default=False, help="Taken, and without effect: nothing is fetched"
        )
