"""Names of the files that the web app shows at the top of a pipeline: ``co.nb.report``.

They are markdown files directly in ``reports/`` of the pipeline's data. The default name of a
node's report is its path with ``+`` for each ``/``, so that a shell can compute the same name:

    cat > "/conducto/data/pipeline/reports/$(echo "$CONDUCTO_NODE" | tr / +).md"

A ``+`` or ``%`` of the path itself is percent-encoded. The web app converts the name back to the
path (``web/src/results/model/reports.ts``); other names cannot start with ``+``.
"""

from __future__ import annotations

from conducto.wire.data_names import of_node

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

DIRECTORY = "reports"
ENDING = ".md"
# File systems allow names of 255 bytes.
_LONGEST = 255 - len(ENDING)


def file_name(name: Optional[str], node: str) -> str:
    """Return the name of a report in the pipeline's data.

    Raises:
        ValueError: ``name`` is not a valid file name.
    """
    return f"{DIRECTORY}/{of_node(node, _LONGEST) if name is None else _checked(name)}{ENDING}"


def _checked(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a report must be text, got {name!r}")
    plain = name[: -len(ENDING)] if name.endswith(ENDING) else name  # noqa: FURB188 - Python 3.8
    if not plain or plain.startswith("+") or "/" in plain or "\0" in plain:
        raise ValueError(
            f"{name!r} cannot be the name of a report: it must name one file, contain no '/' and "
            "not start with '+'"
        )
    if len(plain.encode()) > _LONGEST:
        raise ValueError(f"the name of a report has at most {_LONGEST} bytes, got {name!r}")
    return plain
