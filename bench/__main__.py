"""The command: ``python -m bench [SUITE]``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.cloud.suite import CLOUD
from bench.local.suite import LOCAL
from bench.machine import describe
from bench.registry import Suite
from bench.report import document, table, write
from bench.running import run
from bench.web.suite import WEB

SUITES: dict[str, Suite[Any]] = {suite.name: suite for suite in (LOCAL, WEB, CLOUD)}
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the file; return the exit code.

    The code is 1 if a measurement failed, and with ``--check`` also if one is over its budget.
    """
    options = _parser().parse_args(arguments)
    suite = SUITES[options.suite]
    chosen = suite.select(options.only, full=options.full)
    if options.list:
        for measurement in chosen:
            print(f"{measurement.name:<32} {measurement.what}")
        return 0
    if not chosen:
        print(f"no measurement matches {options.only!r}; list them with --list", file=sys.stderr)
        return 2
    machine = describe()
    if machine["busy"]:
        print("  the machine is busy: expect noise", file=sys.stderr)
    with suite.open_lab() as lab:
        machine |= lab.describe()
        results = run(chosen, lab, lambda line: print(f"  {line}", file=sys.stderr, flush=True))
    print(table(results))
    write(options.output, document(results, machine))
    over = options.check and results.over_budget
    return 1 if results.failed or over else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("suite", nargs="?", default="local", choices=sorted(SUITES))
    parser.add_argument("--only", default="", metavar="TEXT", help="only names that contain TEXT")
    parser.add_argument("--full", action="store_true", help="include slow measurements")
    parser.add_argument("--list", action="store_true", help="print the measurements")
    parser.add_argument("--check", action="store_true", help="exit code 1 when over budget")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
