"""A debug container for the Engine API: a worker's, with a holder in the server's place. No I/O."""

import secrets
from collections.abc import Mapping
from typing import Any

from conducto_core.model.debug import DebugPlan
from conducto_local.ports import Mount, WorkerSpec

#: On every debug container; the value is the pipeline's id.
LABEL_DEBUG = "com.conducto.debug"
#: The mark of the home that the shell's pipeline is of.
LABEL_DEBUG_HOME = "com.conducto.debug.home"
#: Where the command's script is.
SCRIPTS = ("/conducto/cmd.sh", "/cmd.conducto")

#: Process 1 while shells come and go. It ends with its stdin, which is held by whoever opened the
#: shell: when that process is gone, however it went, so is the container. Only builtins here.
_HOLDER = "while read -r _; do :; done"


def container_name(plan: DebugPlan) -> str:
    """Return a name that no other container has."""
    return f"conducto_debug_{plan.pipeline}_{secrets.token_hex(4)}"


def container_spec(plan: DebugPlan, name: str, script: str) -> WorkerSpec:
    """Return the container as the pipeline's engine would start it.

    Args:
        plan: The shell.
        name: Name of the container.
        script: Host path of the file that holds the command.
    """
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
        stays: It outlives this process. Shells of others come in then, so it holds the secrets;
            else they are handed to our shell alone.
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
    """Return ``{name: value}`` of the secrets, in full."""
    return {name: value.get_secret_value() for name, value in plan.secrets.items()}


def env_list(env: Mapping[str, str]) -> list[str]:
    """Return an environment as the Engine API takes it."""
    return [f"{name}={value}" for name, value in env.items()]
