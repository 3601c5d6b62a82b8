"""The environment variables of a command besides those of its image and its node."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from types import MappingProxyType

from conducto.wire.caching import IDENTITY, NODE_DATA
from conducto_core.command.task_layout import DATA_MOUNTS
from conducto_core.telemetry.rules.spans import trace_variables

#: Old clients in an image look for the profile's directory at import unless this is set.
NO_PROFILE = "DUMMY_PROFILE"
NOTHING: Mapping[str, str] = MappingProxyType({})
#: Parent of the nodes' directories, and digits of the digest of a path.
NODES, _DIGITS = ".nodes", 16


@cache
def _own_ids() -> str:
    return f"{os.getuid()}:{os.getgid()}"


@dataclass(frozen=True, slots=True)
class ExecutionContext:
    """The values that are the same for every command of a pipeline.

    Attributes:
        url: Address of the API, as seen from the host.
        owner: ``uid:gid`` on the host; None without a host.
    """

    pipeline_id: str
    url: str
    where: str = "worker_local"
    owner: str | None = field(default_factory=_own_ids)


def node_folder(path: str) -> str:
    """Return the directory of a node in the data of its pipeline."""
    return f"{NODES}/{sha256(path.encode()).hexdigest()[:_DIGITS]}"


def command_env(
    node_env: Mapping[str, str],
    around: ExecutionContext,
    *,
    path: str,
    attempt: int,
    path_map: Mapping[str, str],
    secrets: Mapping[str, str] = NOTHING,
    services: Mapping[str, str] = NOTHING,
    isolated: bool = False,
) -> dict[str, str]:
    """Return the environment of one attempt: secrets override the node's, Conducto's both.

    ``services`` are the addresses of its services (`conducto_core.services.rules.variables`).
    That of a cached command (``isolated``) names neither its pipeline nor the API; it has the id
    of its span, which does not count as an input.
    """
    env = {
        **node_env,
        **secrets,
        NODE_DATA: f"{DATA_MOUNTS['pipeline']}/{node_folder(path)}",
        **services,
        "CONDUCTO_PIPELINE_ID": around.pipeline_id,
        "CONDUCTO_NODE": path,
        "CONDUCTO_ATTEMPT": str(attempt),
        "CONDUCTO_EXECUTION_ENV": around.where,
        "CONDUCTO_PROFILE": NO_PROFILE,
        "CONDUCTO_URL": around.url,
        "CONDUCTO_AUTO_URL": around.url,
        **({} if around.owner is None else {"CONDUCTO_OUTER_OWNER": around.owner}),
        "CONDUCTO_PATH_MAP": json.dumps(dict(path_map)),
        "__RUN_BY_WORKER__": "1",
        **trace_variables(
            around.pipeline_id, path, attempt, {**node_env, **secrets}, isolated=isolated
        ),
    }
    return {k: v for k, v in env.items() if k not in IDENTITY} if isolated else env
