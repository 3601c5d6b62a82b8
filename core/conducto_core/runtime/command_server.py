r"""The host's side of the command server: what is sent, and how the answer is read. No I/O.

The server (``command_server.sh``) reads one line of shell code per command from its stdin, and
before a long one a line that says how long it is. The
command inherits the server's stdout and stderr. When it has ended and all it left is killed, each
stream gets a trailer that only the host can tell from output, for it bears a nonce::

    stdout   \x1e<nonce> <exit code> <processes killed for memory> <peak memory>\n
    stderr   \x1e<nonce>\n

A trailer begins with a byte that text never ends with, so no byte of output has to be held back
to see what follows.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

Stream = Literal["stdout", "stderr"]

#: Where the server writes the command it runs; must be writable for any user.
RUN_DIRECTORY = "/conducto/run"
#: The nonce of the first trailer, by which the server says that it is up.
READY = "ready"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What a shell would refuse to assign, or act upon: `env` sets these. ``BASH…`` too.
_SPECIAL = frozenset(
    {"EUID", "FUNCNAME", "GROUPS", "IFS", "LINENO", "OPTIND", "PPID", "RANDOM", "SECONDS"}
    | {"SHELLOPTS", "SRANDOM", "UID", "_"}
)
_TRAILER_LIMIT = 256
#: Bytes of a line beyond which starting `head` takes less time than reading byte by byte.
_LONG = 2048


class ServerProtocolError(Exception):
    """The server's output is not what a server writes: a bug, or something else answered."""


def server_argv(shell: str, run_directory: str = RUN_DIRECTORY) -> list[str]:
    """Return the command line of the server, to be a container's process 1.

    Args:
        shell: Path of the shell that runs the commands.
        run_directory: A directory in the container that any user may write to.
    """
    text = resources.files(__package__).joinpath("command_server.sh").read_text("utf-8")
    code = "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
    return ["/bin/sh", "-c", code, "conducto-command-server", run_directory, shell]


def settings_line(shell: str | None, workdir: str | None) -> bytes:
    """Return what tells a running server to use another shell or directory than its own."""
    code = "" if shell is None else f"_cs_shell={quoted(shell)};"
    code += "" if workdir is None else f"_cs_cwd={quoted(workdir)};"
    return f"{code}:\n".encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class EncodedJob:
    """What to write to the server's stdin.

    Attributes:
        nonce: The word that both trailers bear.
    """

    line: bytes
    nonce: str


class JobEncoder:
    """Encodes commands for one server.

    The server keeps the first command's environment; later ones send only what differs, because
    each byte of a short line costs the server's shell a system call. One command's variables never
    reach another.
    """

    def __init__(self) -> None:
        self._base: dict[str, str] | None = None

    def encode(self, script: str, env: Mapping[str, str]) -> EncodedJob:
        """Return the line that runs ``script`` with ``env`` over the container's environment.

        Raises:
            ValueError: there is a NUL in the script or a value, or a name is empty or holds ``=``.
        """
        if "\0" in script:
            raise ValueError("a command cannot hold a NUL character: a shell cannot read it")
        for name, value in env.items():
            _check_variable(name, value)
        nonce = secrets.token_hex(8)
        code = f"{self._environment(env)}_cs_script={quoted(script)};_cs_run {nonce}\n"
        line = code.encode("utf-8", "surrogateescape")
        head = f"_cs_load {len(line)} {nonce}\n".encode() if len(line) > _LONG else b""
        return EncodedJob(head + line, nonce)

    def _environment(self, env: Mapping[str, str]) -> str:
        plain = {name: value for name, value in env.items() if _is_plain(name)}
        special = {name: value for name, value in env.items() if name not in plain}
        base = _next_base(self._base, plain)
        changed = {name: value for name, value in plain.items() if base.get(name) != value}
        code = f"_cs_env() {{ {_exports(changed)}{_through_env(special)}:;}};"
        if base != self._base:
            code = f"_cs_base() {{ {_exports(base)}:;}};{code}"
            self._base = base
        return code


def _next_base(base: dict[str, str] | None, env: dict[str, str]) -> dict[str, str]:
    """Return what the server should keep, all of whose names are in ``env``.

    A name that a command does not set cannot stay: it may hide the image's own value.
    """
    if base is None:
        return env
    shared = {name: value for name, value in base.items() if env.get(name) == value}
    if 2 * len(shared) < len(env):
        return env
    return shared if any(name not in env for name in base) else base


def _check_variable(name: str, value: str) -> None:
    if not name or "=" in name or "\0" in name:
        raise ValueError(f"{name!r} cannot be the name of an environment variable")
    if "\0" in value:
        raise ValueError(f"environment variable {name} holds a NUL character; remove it")


def _is_plain(name: str) -> bool:
    return (
        _IDENTIFIER.fullmatch(name) is not None
        and name not in _SPECIAL
        and not name.startswith(("BASH", "_cs_", "_n"))
    )


def quoted(text: str) -> str:
    """Return shell code on one line whose value is ``text``; ``_n`` must be a newline there."""
    inside = text.replace("'", "'\\''").replace("\n", "'\"$_n\"'")
    return f"'{inside}'"


def assignments(env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return code that exports an environment, and words for ``env`` for what code cannot name.

    Raises:
        ValueError: a name is empty or holds ``=``, or there is a NUL.
    """
    for name, value in env.items():
        _check_variable(name, value)
    plain = {name: value for name, value in env.items() if _is_plain(name)}
    return _exports(plain), [f"{name}={env[name]}" for name in env if name not in plain]


def _exports(env: Mapping[str, str]) -> str:
    if not env:
        return ""
    return "export " + " ".join(f"{name}={quoted(value)}" for name, value in env.items()) + ";"


def _through_env(env: Mapping[str, str]) -> str:
    if not env:
        return ""
    words = " ".join(quoted(f"{name}={value}") for name, value in env.items())
    return f'exec env {words} "$_cs_shell" "$_cs_file";'


@dataclass(frozen=True, slots=True)
class Finished:
    """What the trailer says.

    Attributes:
        code: Exit code; 128 + signal where a signal ended the command.
        oom_kills: Processes that the kernel killed for memory while the command ran.
        peak_memory: Bytes; the container's highest use since it began. None where unknown.
    """

    code: int
    oom_kills: int
    peak_memory: int | None


class OutputParser:
    """Tells one command's output from its trailers, in chunks cut anywhere."""

    def __init__(self, nonce: str) -> None:
        self._streams = {"stdout": _StreamParser(nonce), "stderr": _StreamParser(nonce)}

    def feed(self, stream: Stream, chunk: bytes) -> bytes:
        """Return the part of the output that is certain now; often the chunk itself."""
        return self._streams[stream].feed(chunk)

    @property
    def finished(self) -> Finished | None:
        """How the command ended; None until both trailers are complete.

        Raises:
            ServerProtocolError: the trailer cannot be read.
        """
        if self._streams["stderr"].trailer is None:
            return None
        trailer = self._streams["stdout"].trailer
        return None if trailer is None else _read_trailer(trailer)


def _read_trailer(trailer: bytes) -> Finished:
    words = trailer.split()
    if not 2 <= len(words) <= 3 or not all(word.isdigit() for word in words):  # noqa: PLR2004
        raise ServerProtocolError(f"the command server's trailer is unreadable: {trailer!r}")
    code, oom_kills, *peak = (int(word) for word in words)
    return Finished(code, oom_kills, peak[0] if peak and peak[0] > 0 else None)


class _StreamParser:
    def __init__(self, nonce: str) -> None:
        self._marker = b"\x1e" + nonce.encode("ascii")
        self._held = b""
        self._tail: bytes | None = None
        self.trailer: bytes | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self._tail is not None:
            self._collect(chunk)
            return b""
        data = self._held + chunk if self._held else chunk
        at = data.find(self._marker)
        if at >= 0:
            self._tail = b""
            self._collect(data[at + len(self._marker) :])
            return data[:at]
        keep = self._kept_from(data)
        self._held = data[keep:]
        return data[:keep] if self._held else data

    def _kept_from(self, data: bytes) -> int:
        """Return where a marker may have begun; it can only be at the last separator."""
        at = data.rfind(self._marker[:1], max(0, len(data) - len(self._marker) + 1))
        return at if at >= 0 and self._marker.startswith(data[at:]) else len(data)

    def _collect(self, chunk: bytes) -> None:
        """Add to the trailer. What comes after it belongs to no command and is dropped."""
        if self.trailer is not None or self._tail is None:
            return
        self._tail += chunk
        line, newline, _ = self._tail.partition(b"\n")
        if newline:
            self.trailer = line
        elif len(self._tail) > _TRAILER_LIMIT:
            raise ServerProtocolError("the command server's trailer does not end")
