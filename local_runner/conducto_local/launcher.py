"""Find the profile's agent, or start it in the background.

Light on purpose: every launch comes through here, most of them to find that an agent runs.
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
from pathlib import Path

from conducto_client import AgentUnreachableError, ApiError, Client, Endpoint, HttpTransport
from conducto_core.model.operations.pipelines import AGENT_STATUS, API_ROOT
from conducto_local.agent_files import STEP, AgentFiles, AgentState, docker_host, own_groups
from conducto_local.state_dir import StateDir
from conducto_local.version import PACKAGES, code_mark, package_version

START_TIMEOUT = 30.0
STOP_TIMEOUT = 30.0
ANSWER_TIMEOUT = 5.0
_LOG_LINES = 20
_LOG_TAIL = 16 << 10
_OK = 200
_FAILED = "one that could not open its engine"
_BOOT = (
    "import os, sys; sys.path[:0] = sys.argv.pop(1).split(os.pathsep); "
    "from conducto_local.__main__ import main; sys.exit(main())"
)


class AgentStartError(Exception):
    """The agent cannot be started or does not answer; the message says what to do."""


class AgentStopError(Exception):
    """The agent does not stop; the message says what to do."""


def find_agent(home: StateDir) -> Endpoint | None:
    """Return where the profile's agent listens, or None when none lives.

    Whether it answers is not asked.
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
    """Return where the profile's agent listens; start one unless it lives.

    Any number of processes may call this at once: one agent starts. An agent of another version, or
    of other code, is replaced when it has nothing to do, else used; so is, for a launch, one that
    looks for the engine elsewhere than this process would, has other groups, or could not open it.

    Args:
        home: The profile.
        command: Program and arguments of the agent; None is our own.
        warn: Is told what the user should know; None prints to stderr.
        launching: Something is to run.

    Raises:
        AgentStartError: it died at its start, or lives and does not answer.
    """
    tell = _print_warning if warn is None else warn
    if (endpoint := _usable(home, tell, launching=launching)) is not None:
        return endpoint
    with AgentFiles(home.agent).starting():
        if (endpoint := _usable(home, tell, launching=launching)) is None:
            endpoint = _start(home, agent_command(home) if command is None else command)
    return endpoint


def stop_agent(home: StateDir) -> bool:
    """Stop the profile's agent and wait until it is gone; False when there was none.

    Raises:
        AgentStopError: it lives on.
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
            f"the agent (pid {pid}) does not stop within {STOP_TIMEOUT:.0f} s; see {files.log}, "
            "and end it with 'kill -KILL' if need be"
        )
    return True


def _usable(home: StateDir, tell: Callable[[str], None], *, launching: bool) -> Endpoint | None:
    """Return a living agent that answers, or None when there is none (any more)."""
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
        raise AgentStartError(f"the agent, {other or _FAILED}, does not stop; see {files.log}")
    if other is not None:
        tell(
            f"the agent that runs is {other}; it has work to do and is used as it is. "
            "'conducto agent stop' lets the next launch start a new one"
        )
    return endpoint


def _difference(state: AgentState, *, launching: bool) -> str | None:
    """Return why a running agent is not the one that would be started now, None if it is."""
    version, here = package_version(), docker_host()
    if state.version != version:
        return f"version {state.version}, this is {version}"
    if state.code != code_mark():
        return f"version {version} as its code was before"
    if launching and state.docker_host not in (None, here):
        there = state.docker_host or "not set"
        return f"one with DOCKER_HOST {there}, which here is {here or 'not set'}"
    if launching and state.groups not in (None, own_groups()):
        return f"one with other groups ({_named(state.groups)}; here {_named(own_groups())})"
    return None


def _named(groups: Iterable[int] | None) -> str:
    def name(number: int) -> str:
        try:
            return grp.getgrgid(number).gr_name
        except KeyError:
            return str(number)

    return ", ".join(map(name, groups or ()))


def _answering(home: StateDir) -> Endpoint | None:
    """Return a living agent, once it answers; it may just have begun to start."""
    files = AgentFiles(home.agent)
    deadline = time.monotonic() + START_TIMEOUT
    while files.is_running():
        endpoint = find_agent(home)
        if endpoint is not None and _answers(endpoint, files):
            return endpoint
        if endpoint is None and files.has_lost_token():
            raise AgentStartError(
                f"the token of the agent that runs, {files.token_path}, is missing or damaged; "
                "'conducto agent stop', and the next command starts one with a new token"
            )
        if time.monotonic() > deadline:
            raise AgentStartError(
                f"an agent lives for profile {home.profile!r} but does not answer; see "
                f"{files.log}, then 'conducto agent stop'"
            )
        time.sleep(STEP)
    return None


def _answers(endpoint: Endpoint, files: AgentFiles) -> bool:
    transport = HttpTransport(endpoint, timeout=ANSWER_TIMEOUT)
    try:
        reply = transport.request("GET", f"{API_ROOT}{AGENT_STATUS.path}", {}, None)
    except AgentUnreachableError:
        return False
    finally:
        transport.close()
    if reply.status != _OK:
        raise AgentStartError(
            f"the agent at {endpoint.url} answers {reply.status} to our token; end it with "
            f"'conducto agent stop', or see {files.log}"
        )
    return True


def _ask_to_stop(endpoint: Endpoint, *, if_idle: bool) -> bool:
    with Client(HttpTransport(endpoint, timeout=ANSWER_TIMEOUT)) as client:
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
        process = subprocess.Popen(  # noqa: S603  our own program
            [*command, "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_agent_environment(home),
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
        process.returncode = 0  # it outlives us; Popen need not warn that nobody waits for it
        return
    if not readable:
        process.kill()
    code = process.wait()
    reason = f"ended with code {code}" if readable else f"was silent for {START_TIMEOUT:.0f} s"
    tail = "\n".join(f"  {line}" for line in _new_lines(files.log, log_begin))
    raise AgentStartError(f"the agent {reason} at its start; its log ({files.log}) ends:\n{tail}")


def _new_lines(log: Path, begin: int) -> list[str]:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(min(begin, size), size - _LOG_TAIL))
        return file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]


def agent_command(home: StateDir) -> list[str]:
    """Return program and arguments of our own agent, from wherever our packages are."""
    # -P: the directory that a launch happens in has no say in what the agent imports.
    arguments = ["agent", "run", "--profile", home.profile]
    roots = _uninstalled_roots()
    if not roots:
        return [sys.executable, "-P", "-m", "conducto_local", *arguments]
    # Not by PYTHONPATH: the commands that the agent runs would inherit it.
    return [sys.executable, "-P", "-c", _BOOT, os.pathsep.join(roots), *arguments]


def _uninstalled_roots() -> list[str]:
    """Return the directories that our packages are imported from and no installation knows."""
    packages = [path for package in PACKAGES for path in package.__path__]
    roots = [Path(package).resolve().parent for package in packages]
    given = [Path(e) for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e]
    relative = [path.resolve() for path in given if not path.is_absolute()]
    sites = [*site.getsitepackages(), site.getusersitepackages()]
    installed = {Path(directory).resolve() for directory in sites}
    wanted = [*(root for root in roots if root not in installed), *relative]
    return list(dict.fromkeys(map(str, wanted)))


def _agent_environment(home: StateDir) -> dict[str, str]:
    return {
        **os.environ,
        "CONDUCTO_BASE_DIR": str(home.base),
        "CONDUCTO_PROFILE": home.profile,
    }


def _wait_until(is_true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(STEP)
    return True


def _print_warning(text: str) -> None:
    sys.stderr.write(f"warning: {text}\n")
