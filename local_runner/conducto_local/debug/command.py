"""The CLI's operations on a debug plan: open a shell, keep a container, or print a line."""

import asyncio
import csv
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from conducto.wire.printable import shell_word
from conducto_core.debug.model import DebugPlan
from conducto_core.debug.shell import shell_argv
from conducto_local.debug.handlers import lasting_script
from conducto_local.debug.session import run_shell, start_container
from conducto_local.debug.terminal import (
    DebugError,
    Terminal,
    container_spec,
    platform_option,
)
from conducto_local.engine.docker.container import create_body
from conducto_local.engine.docker.http import Address, candidates
from conducto_local.engine.port import EngineError, WorkerSpec

# ----------------------------------------------------------------------------------------
# A debug shell as one ``docker run`` line to paste into a terminal.


_MB = 2**20


def docker_run_line(plan: DebugPlan, spec: WorkerSpec, engine: Address) -> str:
    """Return the line, quoted for a POSIX shell. It contains no secret.

    ``-e NAME`` without a value passes a secret from the user's environment.
    """
    ours = create_body(replace(spec, docker_run_args=()), engine)["HostConfig"]
    shell, *rest = shell_argv(plan.shell)
    words = ["docker", "run", "--rm", "-it"]
    words += [f"--label={name}={value}" for name, value in plan.labels.items()]
    words += [*platform_option(plan), *_limits(plan, ours)]
    words += [] if plan.network is None else [f"--network={plan.network}"]
    words += [] if plan.workdir is None else [f"--workdir={plan.workdir}"]
    words += ["--no-healthcheck", *plan.docker_run_args]
    for mount in ours["Mounts"]:
        words += ["--mount", _mount(mount)]
    for target, options in ours["Tmpfs"].items():
        words += ["--tmpfs", f"{target}:{options}"]
    for name, value in plan.env.items():
        words += ["-e", f"{name}={value}"]
    for name in plan.secrets:
        words += ["-e", name]
    words += ["--entrypoint", shell, plan.image, *rest]
    return " ".join(shell_word(word, multiline=True) for word in words)


def _limits(plan: DebugPlan, config: Mapping[str, Any]) -> list[str]:
    memory = _size(config["Memory"])
    words = [f"--cpus={plan.cpu:g}", f"--memory={memory}", f"--memory-swap={memory}"]
    words += [f"--pids-limit={config['PidsLimit']}"]
    words += [f"--security-opt={option}" for option in config["SecurityOpt"]]
    return [*words, f"--gpus={plan.gpu}"] if plan.gpu else words


def _size(count: int) -> str:
    return f"{count // _MB}m" if count % _MB == 0 else f"{count}b"


def _mount(mount: Mapping[str, Any]) -> str:
    """Return a mount for the flag: a line of CSV, because a path may contain a comma."""
    line = io.StringIO()
    fields = ["type=bind", f"source={mount['Source']}", f"target={mount['Target']}"]
    fields += ["readonly"] if mount["ReadOnly"] else []
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


__all__ = ["DebugError", "docker_line", "keep_container", "open_shell"]


def open_shell(plan: DebugPlan) -> int:
    """Open a shell on this process's terminal; return its exit code.

    Raises:
        DebugError: The shell could not be opened, or was lost.
    """
    try:
        return asyncio.run(run_shell(plan, Terminal(), term=os.environ.get("TERM", "")))
    except (EngineError, OSError) as error:
        raise _explained(error) from error


def keep_container(plan: DebugPlan) -> str:
    """Start a container that outlives this process; return its name.

    Raises:
        DebugError: The container does not start.
    """
    try:
        return asyncio.run(start_container(plan))
    except (EngineError, OSError) as error:
        raise _explained(error) from error


def docker_line(plan: DebugPlan) -> str:
    """Return the ``docker run`` line of a shell; write the script that the line mounts.

    Raises:
        DebugError: The script cannot be written.
    """
    try:
        spec = container_spec(plan, "", str(lasting_script(plan)))
        return docker_run_line(plan, spec, _engine(os.environ))
    except (EngineError, OSError) as error:
        raise _explained(error) from error


def _engine(env: Mapping[str, str]) -> Address:
    """Return the address of the engine, without contacting it."""
    known = candidates(env)
    there = (each for each in known if each.path is None or Path(each.path).exists())
    return next(there, known[0])


def _explained(error: Exception) -> DebugError:
    return DebugError(str(error), no_engine=isinstance(error, EngineError))
