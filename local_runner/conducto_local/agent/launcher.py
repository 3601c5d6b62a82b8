"""Find the profile's agent, or start it in the background.

Imports little: every launch uses this module, mostly to find an agent that is already running.
"""

import contextlib
import grp
import os
import select
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from conducto_client import AgentUnreachableError, ApiError, Client, Endpoint, HttpTransport
from conducto_core.api.operation import API_ROOT
from conducto_core.images.sdk_wheel import package_version
from conducto_core.run.operations import AGENT_STATUS
from conducto_local.agent.files import (
    PACKAGES,
    STEP,
    AgentFiles,
    AgentState,
    code_mark,
    docker_host,
    own_groups,
)
from conducto_local.agent.state_dir import StateDir

START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
RESPONSE_TIMEOUT = 5.0
_LOG_LINES = 20
_LOG_TAIL = 16 << 10
_OK = 200
_FAILED = "it could not open its engine"
_BOOT = (
    "import os, sys; sys.path[:0] = sys.argv.pop(1).split(os.pathsep); "
    "from conducto_local.__main__ import main; sys.exit(main())"
)


class AgentStartError(Exception):
    """The agent cannot be started or does not respond; the message has the remedy."""


class AgentStopError(Exception):
    """The agent does not stop; the message has the remedy."""


def find_agent(home: StateDir) -> Endpoint | None:
    """Return the address of the profile's agent, or None if no agent is running.

    Does not check whether the agent responds.
    """
    files = AgentFiles(home.agent)
    if not files.is_running():
        return None
    state, token = files.read_state(), files.read_token()
    return None if state is None or token is None else Endpoint(state.url, token)


def ensure_agent(
    home: StateDir,
    *,
    command: Sequence[str] | None = None,
    warn: Callable[[str], None] | None = None,
    launching: bool = False,
) -> Endpoint:
    """Return the address of the profile's agent; start the agent unless it is running.

    Any number of processes may call this at the same time: one agent starts. An idle agent with
    another version or other code is replaced; a busy one is used. For a launch, the same applies to
    an agent with another ``DOCKER_HOST`` or other groups, and to one that could not open its
    engine.

    Args:
        command: Program and arguments of the agent; None for the default.
        warn: Receives warnings for the user; None prints each of them once to stderr.
        launching: Whether the caller is about to run a pipeline.

    Raises:
        AgentStartError: The agent exited at its start, or does not respond.
    """
    tell = _print_warning if warn is None else warn
    if (endpoint := _usable(home, tell, launching=launching)) is not None:
        return endpoint
    with AgentFiles(home.agent).starting():
        if (endpoint := _usable(home, tell, launching=launching)) is None:
            endpoint = _start(home, agent_command(home) if command is None else command)
    return endpoint


def stop_agent(home: StateDir) -> bool:
    """Stop the profile's agent and wait until it has exited; return False if there was none.

    Raises:
        AgentStopError: The agent does not exit.
    """
    files = AgentFiles(home.agent)
    if not files.is_running():
        return False
    endpoint, pid = find_agent(home), files.holder()
    asked = endpoint is not None and _ask_to_stop(endpoint, if_idle=False)
    if not asked and pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    if not _wait_until(lambda: not files.is_running(), STOP_TIMEOUT):
        raise AgentStopError(
            f"the agent (pid {pid}) did not stop within {STOP_TIMEOUT:.0f} s; see {files.log}, "
            "and stop it with 'kill -KILL' if necessary"
        )
    return True


def _usable(home: StateDir, tell: Callable[[str], None], *, launching: bool) -> Endpoint | None:
    """Return a running agent that responds, or None if there is none (any more)."""
    files = AgentFiles(home.agent)
    endpoint = _answering(home)
    if endpoint is None:
        return None
    state = files.read_state()
    other = None if state is None else _difference(state, launching=launching)
    failed = launching and state is not None and files.has_engine_failed(state.pid)
    if other is None and not failed:
        return endpoint
    if _ask_to_stop(endpoint, if_idle=True):
        if _wait_until(lambda: not files.is_running(), STOP_TIMEOUT):
            return None
        raise AgentStartError(f"the agent does not stop ({other or _FAILED}); see {files.log}")
    if other is not None:
        tell(
            f"the running agent is busy and is used although {other}. "
            "To start a new one with the next launch: conducto agent stop"
        )
    return endpoint


def _difference(state: AgentState, *, launching: bool) -> str | None:
    """Return the difference between a running agent and one started now; None if there is none."""
    version, here = package_version(), docker_host()
    if state.version != version:
        return f"its version is {state.version}, not {version}"
    if state.code != code_mark():
        return f"its code is older (version {version})"
    if launching and state.docker_host != here:
        there = state.docker_host or "not set"
        return f"its DOCKER_HOST is {there}, which here is {here or 'not set'}"
    if launching and state.groups != own_groups():
        return f"its groups differ ({_named(state.groups)}; here {_named(own_groups())})"
    return None


def _named(groups: Iterable[int]) -> str:
    def name(number: int) -> str:
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)

    return ", ".join(map(name, groups))


def _answering(home: StateDir) -> Endpoint | None:
    """Return a running agent once it responds; it may only just have started."""
    files = AgentFiles(home.agent)
    deadline = time.monotonic() + START_TIMEOUT
    while files.is_running():
        endpoint = find_agent(home)
        if endpoint is not None and _responses(endpoint, files):
            return endpoint
        if endpoint is None and files.has_lost_token():
            raise AgentStartError(
                f"the token of the running agent, {files.token_path}, is missing or damaged; "
                "stop it (conducto agent stop); the next command starts one with a new token"
            )
        if time.monotonic() > deadline:
            raise AgentStartError(
                f"the agent of profile {home.profile!r} does not respond; see "
                f"{files.log}, then 'conducto agent stop'"
            )
        time.sleep(STEP)
    return None


def _responses(endpoint: Endpoint, files: AgentFiles) -> bool:
    transport = HttpTransport(endpoint, timeout=RESPONSE_TIMEOUT)
    try:
        reply = transport.request("GET", f"{API_ROOT}{AGENT_STATUS.path}", {}, None)
    except AgentUnreachableError:
        return False
    finally:
        transport.close()
    if reply.status != _OK:
        raise AgentStartError(
            f"the agent at {endpoint.url} rejected the token with status {reply.status}; "
            f"see {files.log}, or stop it with 'conducto agent stop'"
        )
    return True


def _ask_to_stop(endpoint: Endpoint, *, if_idle: bool) -> bool:
    with Client(HttpTransport(endpoint, timeout=RESPONSE_TIMEOUT)) as client:
        try:
            client.stop_agent(if_idle=if_idle)
        except (ApiError, AgentUnreachableError):
            return False
    return True


def _start(home: StateDir, command: Sequence[str]) -> Endpoint:
    files = AgentFiles(home.agent)
    reader, writer = os.pipe()
    log = files.open_log()
    try:
        begin = os.fstat(log).st_size
        process = subprocess.Popen(  # noqa: S603  Conducto's own program
            [*command, "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={
                **os.environ,
                "CONDUCTO_BASE_DIR": str(home.base),
                "CONDUCTO_PROFILE": home.profile,
            },
            pass_fds=[writer],
            start_new_session=True,
        )
    finally:
        os.close(writer)
        os.close(log)
    try:
        _wait_for_ready(process, reader, files, begin)
    finally:
        os.close(reader)
    endpoint = find_agent(home)
    if endpoint is None:
        raise AgentStartError(f"the agent stopped right after its start; see {files.log}")
    return endpoint


def _wait_for_ready(
    process: "subprocess.Popen[bytes]", reader: int, files: AgentFiles, log_begin: int
) -> None:
    readable, _, _ = select.select([reader], [], [], START_TIMEOUT)
    if readable and os.read(reader, 16):
        process.returncode = 0  # it outlives this process; avoids Popen's warning
        return
    if not readable:
        process.kill()
    code = process.wait()
    reason = f"ended with code {code}" if readable else f"was not ready in {START_TIMEOUT:.0f} s"
    tail = "\n".join(f"  {line}" for line in _new_lines(files.log, log_begin))
    raise AgentStartError(f"the agent {reason} at its start; its log ({files.log}) ends:\n{tail}")


def _new_lines(log: Path, begin: int) -> list[str]:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(min(begin, size), size - _LOG_TAIL))
        return file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]


def agent_command(home: StateDir) -> list[str]:
    """Return program and arguments of the agent, wherever the packages are."""
    # -P: the launch directory must not affect the agent's imports.
    arguments = ["agent", "run", "--profile", home.profile]
    roots = _uninstalled_roots()
    if not roots:
        return [sys.executable, "-P", "-m", "conducto_local", *arguments]
    # Not with PYTHONPATH, which the agent's commands would inherit.
    return [sys.executable, "-P", "-c", _BOOT, os.pathsep.join(roots), *arguments]


def _uninstalled_roots() -> list[str]:
    """Return the directories of our packages that are not installed."""
    packages = [path for package in PACKAGES for path in package.__path__]
    roots = [Path(package).resolve().parent for package in packages]
    given = [Path(e) for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    relative = [path.resolve() for path in given if not path.is_absolute()]
    sites = [*site.getsitepackages(), site.getusersitepackages()]
    installed = {Path(directory).resolve() for directory in sites}
    wanted = [*(root for root in roots if root not in installed), *relative]
    return list(dict.fromkeys(map(str, wanted)))


def _wait_until(is_true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(STEP)
    return True


@cache
def _print_warning(text: str) -> None:
    """Print a warning, once: each connection of a process finds the same agent."""
    sys.stderr.write(f"warning: {text}\n")
