"""``docker_run_args``: flags of ``docker run`` as fields of the Engine API. No I/O.

A flag that is not listed here is rejected by name: a container that silently lacks it would be
worse.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

Body = dict[str, Any]


class RunArgsError(ValueError):
    """Invalid ``docker_run_args``; the message names the flag and the remedy."""


def apply_run_args(body: Body, args: Sequence[str]) -> None:
    """Apply flags to the body of a container's create request.

    Args:
        body: Body of ``POST /containers/create``, with ``HostConfig`` and ``Env``.
        args: Arguments of ``docker run``, split as by a shell.

    Raises:
        RunArgsError: A flag is unknown, rejected, or lacks its value.
    """
    words = list(args)
    while words:
        flag, value = _next_flag(words)
        if flag in _REFUSED:
            raise RunArgsError(f"docker_run_args: {flag} is not allowed: {_REFUSED[flag]}")
        if flag in _SWITCHES:
            if value not in {None, "true", "false"}:
                raise RunArgsError(f"docker_run_args: {flag} takes true or false, not {value!r}")
            body["HostConfig"][_SWITCHES[flag]] = value != "false"
        elif flag in _VALUES:
            _apply_value(body, flag, value if value is not None else _value_of(flag, words))
        elif flag in _ALREADY_SO:
            if value == "false":
                raise RunArgsError(f"docker_run_args: {flag} cannot be switched off")
        else:
            raise RunArgsError(
                f"docker_run_args: {flag!r} is not supported. Remove it; supported are: "
                + " ".join(sorted(_VALUES | _SWITCHES.keys()))
            )


def gpus_of(args: Sequence[str]) -> int:
    """Validate the flags; return the number of GPUs they request, -1 for all."""
    body: Body = {"Env": [], "HostConfig": {}}
    apply_run_args(body, args)
    requests = body["HostConfig"].get("DeviceRequests", ())
    return sum(request["Count"] for request in requests)


def _next_flag(words: list[str]) -> tuple[str, str | None]:
    word = words.pop(0)
    if not word.startswith("-") or word in {"-", "--"}:
        raise RunArgsError(
            f"docker_run_args: {word!r} is not a flag. Use flags only, and quote values with blanks"
        )
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        return name, value if equals else None
    name, rest = word[:2], word[2:]
    if name in _SHORT_SWITCHES and rest and not rest.startswith("="):  # -it is -i -t
        words.insert(0, "-" + rest)
        rest = ""
    return _SHORT.get(name, name), rest.removeprefix("=") if rest else None


def _value_of(flag: str, words: list[str]) -> str:
    if not words:
        raise RunArgsError(f"docker_run_args: {flag} has no value. Add one")
    return words.pop(0)


def _apply_value(body: Body, flag: str, value: str) -> None:
    try:
        _VALUES_TABLE[flag](body, value)
    except ValueError as error:
        raise RunArgsError(f"docker_run_args: {flag} {value!r}: {error}") from error


def _append(field: str) -> Callable[[Body, str], None]:
    def add(body: Body, value: str) -> None:
        body["HostConfig"].setdefault(field, []).append(value)

    return add


def _set(field: str, kind: Callable[[str], Any] = str) -> Callable[[Body, str], None]:
    def put(body: Body, value: str) -> None:
        body["HostConfig"][field] = kind(value)

    return put


def _set_config(field: str) -> Callable[[Body, str], None]:
    def put(body: Body, value: str) -> None:
        body[field] = value

    return put


def _env(body: Body, value: str) -> None:
    name, equals, _ = value.partition("=")
    if not equals:
        raise ValueError(
            f"it has no value, and commands do not inherit the agent's; write {name}=VALUE, "
            "set env= on the node, or make it a secret"
        )
    body["Env"].append(value)


def _label(body: Body, value: str) -> None:
    name, _, text = value.partition("=")
    body.setdefault("Labels", {}).setdefault(name, text)


def _volume(body: Body, value: str) -> None:
    source, colon, rest = value.partition(":")
    if not colon:
        body.setdefault("Volumes", {})[source] = {}
        return
    if source.startswith((".", "~")):  # the launch resolves relative paths if it can
        raise ValueError("the host's path must be absolute")
    body["HostConfig"].setdefault("Binds", []).append(f"{source}:{rest}")


_MOUNT_KEYS = {
    "type": "Type",
    "source": "Source",
    "src": "Source",
    "target": "Target",
    "destination": "Target",
    "dst": "Target",
}


def _mount(body: Body, value: str) -> None:
    mount: dict[str, Any] = {"Type": "volume"}
    for part in value.split(","):
        key, equals, text = part.partition("=")
        if key in {"readonly", "ro"}:
            mount["ReadOnly"] = text != "false"
        elif key in _MOUNT_KEYS and equals:
            mount[_MOUNT_KEYS[key]] = text
        else:
            raise ValueError(f"{part!r} is not supported; use type, source, target, readonly")
    if "Target" not in mount:
        raise ValueError("it has no target")
    body["HostConfig"].setdefault("Mounts", []).append(mount)


def _tmpfs(body: Body, value: str) -> None:
    path, _, options = value.partition(":")
    body["HostConfig"].setdefault("Tmpfs", {})[path] = options


def _publish(body: Body, value: str) -> None:
    port, _, protocol = value.partition("/")
    *host, inner = port.rsplit(":", 2)
    if not inner.isdigit() or any(not part.isdigit() for part in host[-1:] if part):
        raise ValueError("write [[address:]host port:]container port; ranges are not supported")
    key = f"{inner}/{protocol or 'tcp'}"
    body.setdefault("ExposedPorts", {})[key] = {}
    binding = {"HostIp": host[0] if len(host) > 1 else "", "HostPort": host[-1] if host else ""}
    body["HostConfig"].setdefault("PortBindings", {}).setdefault(key, []).append(binding)


def _expose(body: Body, value: str) -> None:
    body.setdefault("ExposedPorts", {})[value if "/" in value else f"{value}/tcp"] = {}


def _device(body: Body, value: str) -> None:
    outside, _, rest = value.partition(":")
    inside, _, rights = rest.partition(":")
    body["HostConfig"].setdefault("Devices", []).append(
        {
            "PathOnHost": outside,
            "PathInContainer": inside or outside,
            "CgroupPermissions": rights or "rwm",
        }
    )


def _ulimit(body: Body, value: str) -> None:
    name, _, limits = value.partition("=")
    soft, _, hard = limits.partition(":")
    body["HostConfig"].setdefault("Ulimits", []).append(
        {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}
    )


def _sysctl(body: Body, value: str) -> None:
    name, equals, text = value.partition("=")
    if not equals:
        raise ValueError("write name=value")
    body["HostConfig"].setdefault("Sysctls", {})[name] = text


def _gpus(body: Body, value: str) -> None:
    count = -1 if value == "all" else int(value)
    body["HostConfig"]["DeviceRequests"] = [{"Count": count, "Capabilities": [["gpu"]]}]


def _security_opt(body: Body, value: str) -> None:
    name, _, text = value.replace(":", "=", 1).partition("=")
    if name == "seccomp" and text not in {"unconfined", "builtin"} and not text.startswith("{"):
        raise ValueError(
            "the file of the profile is read only where a script is launched; "
            "otherwise pass its content, or unconfined"
        )
    body["HostConfig"].setdefault("SecurityOpt", []).append(value)


_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def _size(value: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)b?", value.lower())
    if match is None:
        raise ValueError("write a size such as 512m or 2g")
    return int(float(match[1]) * _UNITS[match[2]])


_SHORT = {
    "-e": "--env",
    "-v": "--volume",
    "-p": "--publish",
    "-u": "--user",
    "-w": "--workdir",
    "-h": "--hostname",
    "-l": "--label",
    "-m": "--memory",
    "-d": "--detach",
    "-i": "--interactive",
    "-t": "--tty",
    "-P": "--publish-all",
}

_SHORT_SWITCHES = frozenset({"-d", "-i", "-t", "-P"})

_SWITCHES = {
    "--privileged": "Privileged",
    "--read-only": "ReadonlyRootfs",
    "--publish-all": "PublishAllPorts",
    "--oom-kill-disable": "OomKillDisable",
}

_VALUES_TABLE: dict[str, Callable[[Body, str], None]] = {
    "--add-host": _append("ExtraHosts"),
    "--blkio-weight": _set("BlkioWeight", int),
    "--cap-add": _append("CapAdd"),
    "--cap-drop": _append("CapDrop"),
    "--cgroupns": _set("CgroupnsMode"),
    "--cpu-shares": _set("CpuShares", int),
    "--cpuset-cpus": _set("CpusetCpus"),
    "--cpuset-mems": _set("CpusetMems"),
    "--device": _device,
    "--dns": _append("Dns"),
    "--dns-option": _append("DnsOptions"),
    "--dns-search": _append("DnsSearch"),
    "--domainname": _set_config("Domainname"),
    "--env": _env,
    "--expose": _expose,
    "--gpus": _gpus,
    "--group-add": _append("GroupAdd"),
    "--hostname": _set_config("Hostname"),
    "--ipc": _set("IpcMode"),
    "--label": _label,
    "--memory-reservation": _set("MemoryReservation", _size),
    "--mount": _mount,
    "--oom-score-adj": _set("OomScoreAdj", int),
    "--pids-limit": _set("PidsLimit", int),
    "--publish": _publish,
    "--runtime": _set("Runtime"),
    "--security-opt": _security_opt,
    "--shm-size": _set("ShmSize", _size),
    "--sysctl": _sysctl,
    "--tmpfs": _tmpfs,
    "--ulimit": _ulimit,
    "--user": _set_config("User"),
    "--userns": _set("UsernsMode"),
    "--uts": _set("UTSMode"),
    "--volume": _volume,
    "--volumes-from": _append("VolumesFrom"),
    "--workdir": _set_config("WorkingDir"),
}
_VALUES = _VALUES_TABLE.keys()

#: Flags that apply to every worker anyway.
_ALREADY_SO = frozenset({"--rm", "--init", "--interactive"})

_REFUSED = {
    "--cpus": "set cpu= on the node",
    "--memory": "set mem= on the node",
    "--memory-swap": "a node gets no swap; set mem= on the node",
    "--network": "nodes share their pipeline's network",
    "--net": "nodes share their pipeline's network",
    "--name": "the container's name identifies its node",
    "--pid": "the command server needs a process namespace of its own",
    "--entrypoint": "the command server is the entrypoint",
    "--tty": "a command's stdout and stderr are pipes",
    "--detach": "a worker is always attached",
    "--restart": "a lost worker is replaced, not restarted",
    "--env-file": "set env= on the node",
    "--health-cmd": "a worker's health is whether its commands run",
    "--log-driver": "output is kept by the pipeline",
}
