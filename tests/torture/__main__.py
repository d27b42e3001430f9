"""`make torture`: kills the daemon again and again under load, and says what its uplinks hold."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import traceback
from pathlib import Path

from tests.torture.book import Broken
from tests.torture.campaign import Campaign
from tests.torture.show import Show


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="make torture TORTURE_ARGS=...",
        description="Runs a simulated line of three machines over Modbus TCP, OPC UA and EtherNet/IP under load, and "
        "kills the daemon with SIGKILL at any moment and at named steps of commit, acknowledgement, cursor, "
        "checkpoint, vacuum and rotation. Exit code 1 if an uplink then lacks an event, has one twice under two "
        "numbers, or the counts are not what the machines made.",
    )
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="how often (default 200)")
    parser.add_argument("--seed", type=int, metavar="N", help="repeat the plan of an earlier campaign")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave everything in a new directory")
    return parser.parse_args()


def main() -> int:
    """One campaign; the exit code."""
    chosen = arguments()
    seed = secrets.randbelow(1_000_000) if chosen.seed is None else chosen.seed
    with tempfile.TemporaryDirectory(prefix="torture-") as scratch:
        place = (chosen.keep or Path(scratch)).resolve()
        show = Show(chosen.kills)
        campaign = Campaign(place, seed, chosen.kills, show.kill)
        try:
            with show:
                figures = asyncio.run(campaign.run())
        except Exception as error:  # noqa: BLE001 - whatever ends a campaign is a finding, and is told with its seed
            if not isinstance(error, Broken):
                traceback.print_exc()
            show.broken(campaign.figures, error, chosen.keep)
            return 1
        show.held(figures)
        return 0


if __name__ == "__main__":
    sys.exit(main())
