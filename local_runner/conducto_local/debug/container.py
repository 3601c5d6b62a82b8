"""The body of a debug container: a worker's, with a holder instead of the server. No I/O."""

import secrets
from collections.abc import Mapping
from typing import Any

from conducto_core.model.debug import DebugPlan
from conducto_local.ports import Mount, WorkerSpec

#: A label of every debug container; its value is the id of the pipeline.
LABEL_DEBUG = "com.conducto.debug"
#: The mark of the state directory of the shell's pipeline.
LABEL_DEBUG_HOME = "com.conducto.debug.home"
#: Paths of the command's script.
SCRIPTS = ("/conducto/cmd.sh", "/cmd.conducto")

#: Process 1 while shells are open. It ends with its stdin, which the process that opened the shell
#: holds: when that process ends for any reason, so does the container. Shell builtins only.
_HOLDER = "while read -r _; do :; done"


def container_name(plan: DebugPlan) -> str:
    """Return a unique container name."""
    return f"conducto_debug_{plan.pipeline}_{secrets.token_hex(4)}"


def container_spec(plan: DebugPlan, name: str, script: str) -> WorkerSpec:
    """Return the container as the pipeline's engine would start it."""
    mounts = [Mount(m.source, m.target) for m in (*plan.data, *plan.code)]
    return WorkerSpec(
        name=name,
        image=plan.image,
        shell=plan.shell,
        cpu=plan.cpu,
        mem=plan.mem,
        gpu=plan.gpu,
        requires_docker=plan.requires_docker,
        docker_run_args=plan.docker_run_args,
        mounts=(*mounts, *(Mount(script, target) for target in SCRIPTS)),
        network=plan.network,
        workdir=plan.workdir,
        labels={LABEL_DEBUG: plan.pipeline, **plan.labels},
    )


def debug_body(plan: DebugPlan, created: Mapping[str, Any], *, stays: bool) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``.

    Args:
        plan: The shell.
        created: The body for a worker of its container (`container_spec`).
        stays: The container outlives this process. Other processes open shells in it then, so its
            environment has the secrets; otherwise only this process's shell gets them.
    """
    body = {**created, "HostConfig": dict(created["HostConfig"])}
    body["Entrypoint"] = ["/bin/sh", "-c", _HOLDER, "conducto-debug"]
    body["StdinOnce"] = not stays
    body["HostConfig"]["AutoRemove"] = True
    shown = {**plan.env, **(secrets_of(plan) if stays else {})}
    given = dict(entry.partition("=")[::2] for entry in body["Env"])
    body["Env"] = env_list({**given, **shown})
    return body


def secrets_of(plan: DebugPlan) -> dict[str, str]:
    """Return the secrets as ``{name: value}``, unmasked."""
    return {name: value.get_secret_value() for name, value in plan.secrets.items()}


def env_list(env: Mapping[str, str]) -> list[str]:
    """Return an environment in the format of the Engine API."""
    return [f"{name}={value}" for name, value in env.items()]
