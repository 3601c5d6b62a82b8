"""A debug shell as one ``docker run`` line to paste into a terminal."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conducto.wire.printable import shell_word
from conducto_core.model.debug import DebugPlan
from conducto_core.runtime.debug_shell import shell_argv
from conducto_local.engine.address import Address
from conducto_local.engine.container import create_body
from conducto_local.ports import WorkerSpec

_MB = 2**20


def docker_run_line(plan: DebugPlan, spec: WorkerSpec, engine: Address) -> str:
    """Return the line, quoted for a POSIX shell. It contains no secret.

    ``-e NAME`` without a value passes a secret from the user's environment.
    """
    ours = create_body(replace(spec, docker_run_args=()), engine)["HostConfig"]
    shell, *rest = shell_argv(plan.shell)
    words = ["docker", "run", "--rm", "-it"]
    words += [f"--label={name}={value}" for name, value in plan.labels.items()]
    words += _limits(plan, ours)
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
    fields = ("type=bind", f"source={mount['Source']}", f"target={mount['Target']}")
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
