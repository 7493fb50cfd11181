"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
from types import ModuleType

from benchmarks import analysis, endpoint, kernel, recruiting, trial


def main() -> None:
    """Measure, and print for people or as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", choices=["kernel", "recruiting", "trial", "endpoint", "analysis"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller populations")
    args = parser.parse_args()
    named = (kernel, recruiting, trial, endpoint, analysis)
    rooms: dict[str, ModuleType] = {m.__name__.removeprefix("benchmarks."): m for m in named}
    room = rooms[args.what]
    figures = room.measure(quick=args.quick)
    if args.json:
        print(json.dumps(figures, indent=1))
    else:
        room.show(figures)


if __name__ == "__main__":
    main()
