"""`make bench`: every figure as a ratio of two measured in one run; prints a table and writes bench/results.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    cip_decode,
    daemon,
    decode,
    engine,
    ethernet_ip,
    history,
    modbus,
    opcua,
    opcua_decode,
    outbox,
    page,
    plant,
    recording,
    samples,
    uplinks,
)
from tests.benchmarks.result import Result

SUITES = {
    "decode": decode.measure,
    "opcua_decode": opcua_decode.measure,
    "opcua": opcua.measure,
    "cip": cip_decode.measure,
    "ethernet_ip": ethernet_ip.measure,
    "modbus": modbus.measure,
    "engine": engine.measure,
    "recording": recording.measure,
    "samples": samples.measure,
    "outbox": outbox.measure,
    "history": history.measure,
    "uplinks": uplinks.measure,
    "plant": plant.measure,
    "daemon": daemon.measure,
    "page": page.measure,
}


def main(names: list[str]) -> None:
    """Run the suites named."""
    results: list[Result] = []
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        results += SUITES[name]()
    table = Table("suite", "name", "value", "unit", "versus", "ratio")
    for one in results:
        ratio = "" if one.ratio is None else f"{one.ratio:.4g}"
        table.add_row(one.suite, one.name, f"{one.value:.4g}", one.unit, one.versus, ratio)
    Console(width=120).print(table)
    path = Path("bench/results.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([one.as_dict() for one in results], indent=1) + "\n")


parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
parser.add_argument("suite", nargs="*", choices=[*SUITES, "all"], default="all")
chosen = parser.parse_args().suite
main(list(SUITES) if "all" in chosen else chosen)
