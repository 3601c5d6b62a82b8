"""Files that must not change by accident; ``python -m support.golden`` writes them.

Run it in ``tests/``. Without arguments it writes all of them, with names only these. The tests
compare its output with the files: a change of the contract or of the roll-up of states is
deliberate, and the readers of these files (the web app, other clients) follow it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from conducto_core.api.cloud_operations import CLOUD_OPERATIONS
from conducto_core.api.openapi import openapi_document
from conducto_core.api.operation import AnyOperation
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.triggers.rules.config import config_schema
from conducto_local.server.agent_operations import LOCAL_OPERATIONS
from support.asl.named_trees import machines_of_named_trees
from support.roll_up_cases import roll_up_cases
from support.terminal_cases import terminal_cases
from support.wire_schemas import wire_schemas

FOLDER = Path(__file__).parent.parent / "golden"
REMEDY = "if this is meant, run `python -m support.golden` in tests/ and say so in the commit"


def _document(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _lines(cases: Iterable[Any]) -> str:
    """Write one case per line, so that a diff shows the changed cases."""
    text = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    return f"[\n{text}\n]\n"


def _operations() -> tuple[AnyOperation, ...]:
    """Return the operations of an agent, and those of users that only the cloud has."""
    known = {operation.name for operation in LOCAL_OPERATIONS}
    cloud = (*CLOUD_OPERATIONS, *ORGANISATION_OPERATIONS)
    return (*LOCAL_OPERATIONS, *(one for one in cloud if one.name not in known))


FILES: dict[str, Callable[[], str]] = {
    "schemas.json": lambda: _document(wire_schemas()),
    "openapi.json": lambda: _document(openapi_document(_operations())),
    "conducto-cfg.schema.json": lambda: _document(config_schema()),
    "state_machines.json": lambda: _document(machines_of_named_trees()),
    "roll_up.json": lambda: _lines(roll_up_cases()),
    "terminal.json": lambda: _document(terminal_cases()),
}


def read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def main() -> None:
    """Write the files named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *FILES], help="default: all")
    for name in parser.parse_args().names or FILES:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / name).write_text(FILES[name](), encoding="utf-8")


if __name__ == "__main__":
    main()
