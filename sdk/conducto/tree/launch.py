"""The connection between a tree and its launcher (`conducto._host`, on the host)."""

# ruff: noqa: PLC0415
from __future__ import annotations

from dataclasses import dataclass, field

from conducto.errors import UsageError
from conducto.platforms import is_inside_node
from conducto.tree import unused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

    from conducto.tree.node_base import NodeBase
# imports wait until they are needed.

# ----------------------------------------------------------------------------------------
# The options of a launch.


@dataclass
class LaunchOptions:
    """The options of one launch.

    Attributes:
        run: Start at once instead of waiting for Run.
        detach: Return as soon as the pipeline is launched.
        run_at: Time to start at, seconds since the epoch.
        sleep_when_done: Put it to sleep when it is done.
        title: Its title; None only with ``into``, if none is given.
        tags: Labels besides those of the root; None if none are given.
        retention: Days without activity after which it is archived; None for 7 days, or with
            ``into`` for those of the pipeline.
        engine: ``docker``, ``process``, or None for the configured one.
        build: Place to build images for the cloud: ``local``, or None for the cloud.
        plain: Plain lines instead of the live view.
        stream: Print the output of all nodes; None where a CI job runs.
        junit: File to write a JUnit report to at the end.
        shell: Stay attached with the text interface; None for the configured behaviour.
        app: Open the web app; None for the configured behaviour.
        public: Anyone with the link may see it.
        profile: Profile to launch with, or None for the default.
        argv: The command line, program first.
        call: Record of the call that made the tree (`conducto.script.program`).
        snapshot_on_error: Value of the node parameter for the whole tree.
        k8s: The cloud is a Kubernetes cluster.
        into: Pipeline whose definition is replaced, instead of a new one.
        fresh: With ``into``: keep no results.
        keep_secrets: With ``into``: keep commands that differ only in their secrets.
        yes: With ``into``: do not ask.
        secret_set: Set of secrets that the commands get.
        no_cache: Run commands with a cache in any case, and store what they return.
        plan: With ``into``: only print the plan.
    """

    run: bool = False
    detach: bool = False
    run_at: Optional[float] = None
    sleep_when_done: bool = False
    no_cache: bool = False
    secret_set: Optional[str] = None
    title: Optional[str] = None
    doc: Optional[str] = None
    tags: Optional[List[str]] = None
    retention: Optional[int] = None
    engine: Optional[str] = None
    build: Optional[str] = None
    plain: bool = False
    stream: Optional[bool] = None
    junit: Optional[str] = None
    shell: Optional[bool] = None
    app: Optional[bool] = None
    public: bool = False
    profile: Optional[str] = None
    argv: List[str] = field(default_factory=list)
    call: Optional[Dict[str, Any]] = None
    snapshot_on_error: bool = False
    k8s: bool = False
    into: Optional[str] = None
    fresh: bool = False
    keep_secrets: bool = False
    yes: bool = False
    plan: bool = False


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
