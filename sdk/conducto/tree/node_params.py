"""Types of the node parameters, for editors and type checkers; nothing imports them at run time.

A test compares the names with those that the nodes accept.
"""

# ruff: noqa: TC001, TC003
# A test reads the types at run time.

from __future__ import annotations

import os
from typing import Any, Dict, Iterable, List, Optional, TypedDict, Union

from conducto.tree.image import Image
from conducto.wire.buckets import Bucket
from conducto.wire.caching import Cache
from conducto.wire.named_limits import Limit
from conducto.wire.retries import Retry
from conducto.wire.services import Service

Strings = Union[str, Iterable[str], None]


class NodeParams(TypedDict, total=False):
    """Parameters of every node."""

    name: Optional[str]
    """Name below the node of the innermost ``with`` block, to which the node is attached."""
    env: Optional[Dict[str, str]]
    """Environment variables; descendants inherit them, the nearest value wins."""
    image: Union[str, Image, None]
    """Image that commands run in, or its reference such as ``python:3.11-slim``; inherited."""
    image_name: Optional[str]
    """Name of an image that a node of the tree has; inherited."""
    cpu: Optional[float]
    """CPUs; inherited, 1 by default. Fractions are allowed."""
    mem: Union[float, str, None]
    """Memory in GB; inherited, 2 by default."""
    gpu: Optional[int]
    """GPUs, 0 to 16; inherited, 0 by default."""
    arch: Optional[str]
    """Processors: ``"x86_64"``, the default in the cloud, or ``"arm64"``; inherited."""
    spot: Union[bool, str, None]
    """Workers in the cloud are Spot tasks, with ``"only"`` always; inherited."""
    machine: Optional[str]
    """Class of machines in the cloud, which an administrator declares; inherited."""
    max_time: Union[float, str, None]
    """Time limit in seconds, or a text such as ``1h30m``; inherited, 4 hours by default."""
    budget: Optional[float]
    """Dollars that the commands at or below the node may cost in the cloud; no limit by default."""
    budget_action: Optional[str]
    """What happens to running commands when the budget is used up: ``"finish"`` or ``"kill"``."""
    retry: Optional[Retry]
    """Automatic retries with a delay, ``co.retry(3, delay=10)``; inherited."""
    retry_lost: Optional[int]
    """How often a command is run again whose container was lost; inherited, 0 by default."""
    isolate: Optional[bool]
    """A Python function gets an interpreter of its own; inherited, False by default."""
    launch: Optional[bool]
    """The command may launch pipelines with ``co.launch``; inherited, False by default."""
    junit: Union[str, List[str], None]
    coverage: Union[str, List[str], None]
    """Patterns of the JUnit files that commands write, such as ``reports/*.xml``; inherited."""
    limits: Union[Limit, List[Limit], None]
    """Named limits across pipelines that commands count in; added to those above."""
    secrets: Optional[List[str]]
    """Names of the secrets that commands get, and no others; inherited, all by default."""
    cache: Union[Cache, bool, None]
    """Use the result of an equal command instead of running again; inherited, False by default."""
    code: Optional[List[str]]
    """Names of the files of the image that count for the cache; inherited, all by default."""
    skip: bool
    """Do not run the node; the pipeline continues as if it were done."""
    run_if: Any
    """A condition on earlier results, ``check.result == "changed"``; if false, it is skipped."""
    suppress_errors: bool
    """End the node done even if a child failed."""
    snapshot_on_error: Optional[bool]
    """Keep the container of a failed command for ``conducto debug --snapshot``; inherited."""
    requires_docker: Optional[bool]
    """The command may use the container engine; inherited. Local mode only."""
    services: Optional[Dict[str, Optional[Service]]]
    buckets: Optional[Dict[str, Optional[Bucket]]]
    """Containers beside the command, such as a database; inherited, None removes one."""
    container_reuse_context: Optional[str]
    """A value of `conducto.ContainerReuseContext`; inherited by default."""
    same_container: Optional[str]
    """Older name of ``container_reuse_context``."""
    docker_run_args: Strings
    """Further arguments for the container engine; inherited. Local mode only."""
    doc: Optional[str]
    """Markdown that the web app shows with the node."""
    title: Optional[str]
    """Title of the pipeline; set it on the root."""
    tags: Strings
    """Labels of the pipeline; set them on the root."""
    callback_data: Any
    """Data for callbacks; Conducto does not read it."""
    pipeline_reservation: Any
    """Accepted from pipelines of earlier versions; it has no effect."""
    file: Optional[str]
    """File that defines the node; the calling file by default."""
    line: Optional[int]
    """Line that defines the node."""


class ExecParams(NodeParams, total=False):
    """Parameters of `conducto.Exec`."""

    results: List[Any]
    """Paths of nodes, or references such as ``node.result``, whose results the command uses."""


class GroupParams(NodeParams, total=False):
    """Parameters of `conducto.Parallel`, and of `conducto.Serial`, which has ``stop_on_error``."""

    max_concurrent: Optional[int]
    """Maximum number of commands below the node that run at once."""


class SetParams(GroupParams, total=False):
    """Parameters that `conducto.Node.set` accepts."""

    stop_on_error: bool
    command: str


NotebookValue = Union[str, int, float, bool]
AnyPath = Union[str, "os.PathLike[str]"]
