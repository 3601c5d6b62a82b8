"""The body of a debug container: a worker's, with a holder instead of the server. No I/O."""

import io
import secrets
import tarfile
from collections.abc import Mapping
from pathlib import Path
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


def container_spec(plan: DebugPlan, name: str, script: str | None) -> WorkerSpec:
    """Return the container as the pipeline's engine would start it.

    Args:
        plan: The shell.
        name: Of the container.
        script: Host path of the script to mount, or None for `script_archive` instead.
    """
    mounts = [Mount(m.source, m.target) for m in (*plan.data, *plan.code)]
    scripts = [] if script is None else [Mount(script, target) for target in SCRIPTS]
    return WorkerSpec(
        name=name,
        image=plan.image,
        shell=plan.shell,
        cpu=plan.cpu,
        mem=plan.mem,
        gpu=plan.gpu,
        requires_docker=plan.requires_docker,
        docker_run_args=plan.docker_run_args,
        mounts=(*mounts, *scripts),
        network=plan.network,
        workdir=plan.workdir,
        labels={LABEL_DEBUG: plan.pipeline, **plan.labels},
    )


def script_archive(plan: DebugPlan) -> bytes:
    """Return a tar archive of the script, for the root of a container.

    Any user may change the file and replace it, as ``sed -i`` and many editors do; that is not
    possible with a mounted file.
    """
    first, second = SCRIPTS
    text = plan.script.encode("utf-8", "surrogateescape")
    folder, file, link = (tarfile.TarInfo(n) for n in (str(Path(first).parent), first, second))
    folder.type, link.type = tarfile.DIRTYPE, tarfile.SYMTYPE
    folder.mode = file.mode = 0o777
    file.size, link.linkname = len(text), first
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(folder)
        tar.addfile(file, io.BytesIO(text))
        tar.addfile(link)
    return archive.getvalue()


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
