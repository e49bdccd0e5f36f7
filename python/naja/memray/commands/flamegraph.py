from __future__ import annotations

import argparse

from .common import HighWatermarkCommand


class FlamegraphCommand(HighWatermarkCommand):
    """Generate an HTML flame graph for peak memory usage"""

    reporter_name = "flamegraph"

    def prepare_parser(self, parser: argparse.ArgumentParser) -> None:
        super().prepare_parser(parser)
        own = "Taken, and without effect: naja's page "
        parser.add_argument("--temporal", action="store_true", default=False, help=own + "always has a time line")
        parser.add_argument("--split-threads", action="store_true", default=False, help="Keep threads apart")
        parser.add_argument("--inverted", action="store_true", default=False, help="Invert flame graph")
        parser.add_argument("--max-memory-records", type=int, default=None, help=own + "is as small as it is")
        parser.add_argument("--no-web", action="store_true", default=False, help=own + "needs nothing of the web")
        parser.add_argument(
            "--confidential-files",
            choices=["all", "none", "default"],
            default="default",
            help=own + "has no source lines",
        )
