"""The directory of a scope of data, and the valid names in it.

Rules for editors: every name from a user or a command passes through ``clean`` and
``directory.resolve``; nothing else joins a name to a directory. Each ``conducto-data-*`` call in a
container imports this module, so it imports nothing heavy at its top.
"""

# pathlib is slow to import, and this runs at every call in a container.
# ruff: noqa: PTH103, PTH112, PTH118

from __future__ import annotations

import os

#: Variable with the path of the node's own directory (`conducto.wire.caching`).
NODE_DATA = "CONDUCTO_NODE_DATA"
CONTAINER_ROOT = "/conducto/data"
_NO_PIPELINE = (
    "Pipeline-scoped data requires an initialized pipeline. "
    "Try using conducto.data.pipeline from a child node."
)


class ContextError(Exception):
    """The requested data does not exist where this code runs; the message has the reason."""


def root_of(scope: str) -> str:
    """Return the directory of the scope ``pipeline`` or ``user``; it need not exist.

    In this order: the variable ``CONDUCTO_DATA_PIPELINE`` or ``CONDUCTO_DATA_USER`` (engines
    without containers set it), the mount of a node's container, the profile's directory on a user's
    machine.

    Raises:
        ContextError: Pipeline data outside of a pipeline.
        NotAvailableError: The code runs in the cloud, and not in a worker.
    """
    given = os.environ.get(f"CONDUCTO_DATA_{scope.upper()}")
    if given:
        return given
    environment = os.environ.get("CONDUCTO_EXECUTION_ENV", "")
    if environment in {"worker_local", "debug_local", "worker_cloud"}:
        return f"{CONTAINER_ROOT}/{scope}"
    if "cloud" in environment:
        refuse_cloud()
    return _host_root(scope)


def checkpoint_dir() -> str:
    """Return the directory of the running node, in which its next attempt continues; create it.

    The attempts of a node share it, on whatever machine they run. When the node is done, it is
    removed.

    Raises:
        ContextError: The code does not run in a command, or in one with a cache.
    """
    folder = os.environ.get(NODE_DATA)
    if not folder:
        raise ContextError(
            "a checkpoint needs a node without cache=: only commands of a pipeline have a "
            "directory, and a cached command sees no data"
        )
    os.makedirs(folder, exist_ok=True)
    return folder


def refuse_cloud() -> None:
    """Raise ``NotAvailableError`` for storage in S3."""
    from conducto.api.calls import NotAvailableError  # noqa: PLC0415 - keeps the import light

    raise NotAvailableError("Data storage in the cloud", "Run the pipeline with --local.")


def _host_root(scope: str) -> str:
    from conducto.api import config, paths  # noqa: PLC0415 - not needed in containers

    profile = config.current_profile()
    if scope == "user":
        return os.path.join(paths.profile_dir(profile), "data")
    pipeline_id = os.environ.get("CONDUCTO_PIPELINE_ID")
    if not pipeline_id:
        raise ContextError(_NO_PIPELINE)
    directory = paths.pipeline_dir(profile, pipeline_id)
    if not os.path.isdir(directory):
        raise ContextError(
            f"No pipeline {pipeline_id!r} on this machine, in profile {profile!r}; "
            "see conducto list."
        )
    return os.path.join(directory, "data")
