"""A check at exit: a script that defines a pipeline and neither prints nor launches it.

Without it, ``python pipeline.py --local --run`` on a script that lacks ``co.main`` ends with exit
code 0 and runs nothing.
"""

# ruff: noqa: PLC0415, PTH119
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional

_TARGETS = ("--local", "--cloud", "--k8s", "--conducto.local", "--conducto.cloud")
_WRONG = 2


class _Used:
    """Whether this process has used a pipeline."""

    yes = False


def mark_used() -> None:
    """Record that a tree was printed, launched or serialised, or `conducto.main` was called."""
    _Used.yes = True


def watch() -> None:
    """Check at the end of this process, if it runs a script."""
    # Python deletes the name of the file before this check.
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    if file is not None:
        atexit.register(_check, file)


def _check(file: str) -> None:
    script = sys.modules.get("__main__")
    failed = hasattr(sys, "last_type")
    if _Used.yes or failed or script is None or script.__name__ != "__main__":
        return
    targets = [word for word in sys.argv[1:] if word in _TARGETS]
    pipelines = _pipelines(vars(script))
    if not pipelines:
        return
    did = f"{targets[0]} has launched nothing" if targets else "nothing was printed or launched"
    kind = "error" if targets else "warning"
    print(  # noqa: T201
        f"{os.path.basename(file)} : {kind}: {did}: the script defines a pipeline "
        f"({', '.join(pipelines)}) but does not call co.main; "
        f"{_remedy(pipelines[0], vars(script))}",
        file=sys.stderr,
    )
    if targets:  # the only way to an exit code from here
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_WRONG)


def _pipelines(names: Dict[str, Any]) -> List[str]:
    """Return the names of the script's functions that return nodes, and of its trees."""
    from conducto.inspection.signatures import node_type_of
    from conducto.tree.node_base import NodeBase

    found = []
    for name, value in names.items():
        is_tree = isinstance(value, NodeBase) and value.parent is None
        if is_tree or (type(value) is type(_check) and _returns_node(value, node_type_of)):
            found.append(name)
    return found


def _returns_node(function: Any, node_type_of: Callable[[Any], Optional[type]]) -> bool:
    """Return whether a function of the script itself is annotated to return a node."""
    try:
        return function.__module__ == "__main__" and node_type_of(function) is not None
    except Exception:  # noqa: BLE001 (an annotation that cannot be evaluated)
        return False


def _remedy(name: str, names: Dict[str, Any]) -> str:
    if callable(names[name]):
        return f"end it with co.main(default={name})"
    return (
        f"put it in a function, def pipeline() -> co.{type(names[name]).__name__}, that returns "
        f"{name}, and end the script with co.main(default=pipeline)"
    )
