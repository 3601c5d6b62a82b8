"""The author API: nodes, the tree they form, and its serialization.

Modules load in this order: `text`, `parameters`, `node_env`, `node_base`, `nodes`, `lazy`; and only
when a tree is printed or launched, `wire_records`, `pull_up`, `serialize`, `pretty`, `validate`,
`launch_form`. Standard library only, Python 3.8 and later, and nothing heavy at import: a native
function in a warm container pays for it each time.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto.tree.nodes import Exec, Node, Notebook, Parallel, Serial

__all__ = ["Exec", "Node", "Notebook", "Parallel", "Serial"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'conducto.tree' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("conducto.tree.nodes"), name)
