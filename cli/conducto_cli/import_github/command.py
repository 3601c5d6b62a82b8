"""``conducto import``: the workflows of another system as the script of a pipeline."""

# ruff: noqa: PLC0415
# `--help` and completion import this module.

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto.wire.printable import printable
from conducto_cli.app.arguments import file_text
from conducto_cli.app.exit import DONE, FAILED
from conducto_cli.text.text import count_of

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("system", choices=["github"], metavar="SYSTEM", help="github")
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="workflow files, such as .github/workflows/ci.yml"
    )
    parser.add_argument(
        "-o", "--output", metavar="SCRIPT", help="write the script to a new file, not to stdout"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1 if a part was not translated"
    )


def run(arguments: argparse.Namespace) -> int:
    from conducto_cli.import_github.pipeline import translate
    from conducto_cli.import_github.workflow import WorkflowError

    output = arguments.output
    try:
        found = translate(
            [(name, file_text(name)) for name in arguments.files], output or "pipeline.py"
        )
    except WorkflowError as error:
        raise UsageError(printable(str(error))) from error
    if output is None:
        print(found.script, end="")
    else:
        _write(Path(output), found.script)
    for file, line, message in found.problems:
        print(printable(f"{file}:{line}: not translated: {message}"), file=sys.stderr)
    if output is not None:
        print(f"wrote {printable(output)}; print its tree: python {printable(output)}")
    if found.problems:
        print(
            f"{count_of(len(found.problems), 'part')} not translated, listed above", file=sys.stderr
        )
    return FAILED if found.problems and arguments.strict else DONE


def _write(path: Path, script: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(script)
    except FileExistsError as error:
        raise UsageError(f"{path}: file exists; give another name") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
