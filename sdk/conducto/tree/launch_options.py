"""The options of a launch."""

from __future__ import annotations

from dataclasses import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional


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
        plan: With ``into``: only print the plan.
    """

    run: bool = False
    detach: bool = False
    run_at: Optional[float] = None
    sleep_when_done: bool = False
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
