"""The result, metrics and artifacts of a running command.

Everything is written to files in the run directory of the attempt, which Conducto reads when the
command has ended. Outside of a pipeline there is no such directory: then the arguments are checked
and nothing is written.
"""

# ruff: noqa: PLC0415, PTH118, PTH123
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os
import sys

from conducto.wire import outputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional


def keep(value: Any) -> None:
    """Keep the return value of a function as the result of the node; None removes an earlier one.

    A value that has no form in JSON is not kept; a warning on stderr has the reason.
    """
    file = _file(outputs.RESULT)
    if file is None:
        return
    if value is None:
        if os.path.exists(file):  # noqa: PTH110
            os.remove(file)  # noqa: PTH107
        return
    import json

    try:
        text = json.dumps(value)
        if len(text) > outputs.MAX_RESULT:
            _warn(outputs.too_large(len(text)))
        else:
            _write(file, text, "w")
    except (TypeError, ValueError, RecursionError, OSError) as error:
        _warn(f"the result was not kept: {error}")


def _warn(text: str) -> None:
    print(f"conducto: {text}", file=sys.stderr)  # noqa: T201


def _file(name: str) -> Optional[str]:
    directory = os.environ.get(outputs.RUN_DIRECTORY)
    return os.path.join(directory, name) if directory else None


def _write(file: str, text: str, mode: str) -> None:
    with open(file, mode, encoding="utf-8") as target:
        target.write(text)
