"""The connection between a tree and its launcher (`conducto._host`, on the host)."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

from conducto.errors import UsageError
from conducto.platforms import is_inside_node
from conducto.tree import unused
from conducto.tree.launch_options import LaunchOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from conducto.tree.node_base import NodeBase

_INSIDE = (
    "It is not supported to launch pipelines from with-in other pipelines. "
    "Consider using `co.Lazy` to compose pipelines dynamically, or set launch=True on the node "
    "and call co.launch(tree) in its command."
)


def launch(root: NodeBase, modes: Mapping[str, bool], **options: Any) -> int:
    """Launch the tree on the only target set in ``modes``; in the cloud if there is none.

    Returns:
        The exit code of `start`.

    Raises:
        ValueError: several targets, or a switch that is neither True nor False.
        RuntimeError: inside a node.
    """
    if sum(bool(on) for on in modes.values()) > 1:
        chosen = " ".join("{}={}".format(*item) for item in modes.items())
        raise ValueError(f"Too many run modes selected (max: 1). {chosen}")
    from conducto.tree.titles import title_of_process
    from conducto.wire import fields

    for name in ("shell", "app", "run", "sleep_when_done", "public"):
        fields.check_flag(name, options.get(name, False))
    title = root.title if root.title is not None else title_of_process()
    made = LaunchOptions(title=title, k8s=modes["k8s"], **options)
    return start(root, made, local=modes["local"])


def start(root: NodeBase, options: LaunchOptions, *, local: bool) -> int:
    """Check the tree, and pass it to the launcher of this machine or of the cloud.

    Returns:
        The exit code: 0 done or detached, 1 error or killed, 2 an invalid definition, 3 no engine.

    Raises:
        RuntimeError: inside a node.
        UsageError: Kubernetes was requested, which is not available.
        DefinitionError: the tree cannot run there.
    """
    if options.k8s:
        raise UsageError(
            "error: Kubernetes is not available yet; launch on this machine (--local) or in the "
            "cloud (--cloud)"
        )
    check(root, cloud=not local)
    from conducto import _host

    return _host.launch(root, options, "local" if local else "cloud")


def check(root: NodeBase, *, cloud: bool) -> None:
    """Check that a tree can be launched from here, on this machine or in the cloud.

    Raises:
        RuntimeError: inside a node.
        DefinitionError: the tree cannot run there.
    """
    unused.mark_used()
    if is_inside_node():
        raise RuntimeError(_INSIDE)
    from conducto.tree import left_out
    from conducto.tree.validate import validate

    validate(root, check_code=True, cloud=cloud)
    left_out.warn_unnamed(root)
    left_out.warn_empty(root)
    left_out.warn_texts(root)
