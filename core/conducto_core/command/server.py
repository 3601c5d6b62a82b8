r"""The host's part of the protocol of the command server. No I/O.

The server (``command_server.sh``) reads one line of shell code per command from its stdin; a long
line is preceded by a line with its length. The command inherits the server's stdout and stderr.
When it has ended and its remaining processes are killed, each stream gets a trailer, which the host
recognises by a nonce::

    stdout   \x1e<nonce> <exit code> <processes killed for memory> <peak memory> <interpreter>\n
    stderr   \x1e<nonce>\n

A server with pipes to the host does not send the second one.

Before the trailer on stdout come the files that the command left in the run directory, its result,
metrics and artifacts, each after a line with its name::

    \x1e<nonce>=<name>\n<content>

and, of a node with ``junit=``, the JUnit files that it wrote, as one file (`JUNIT_FILES`).

A trailer starts with a byte with which text never ends, so output need not be held back to check
for a trailer.

While a command runs, its points of metrics and its artifacts arrive between its output, each as a
frame (`conducto.wire.outputs.frame`). Anything may print a frame: it only adds to the attempt of
the command that printed it.
"""

import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import Literal

from conducto.wire.caching import NODE_DATA
from conducto.wire.junit import COVERAGE
from conducto.wire.junit import VARIABLE as JUNIT
from conducto.wire.launching import CHANNEL
from conducto.wire.outputs import FRAME_START, MAX_FRAME

Stream = Literal["stdout", "stderr"]
#: The kinds of data of a running command: its output, and its frames.
Part = Literal["stdout", "stderr", "frame"]

#: Directory in which the server writes the command it runs; must be writable for any user.
RUN_DIRECTORY = "/conducto/run"
#: The nonce of the first trailer, which the server sends when it is ready.
READY = "ready"

#: `Finished.interpreter` of a call that ran in a fork.
FORKED = "forked"
#: Variable of a node with ``isolate=True``: "1" if its function needs an interpreter of its own.
ISOLATE = "CONDUCTO_ISOLATE"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Names that a shell refuses to assign, or treats specially, set by `env` instead. Also ``BASH…``.
_SPECIAL = frozenset(
    {"EUID", "FUNCNAME", "GROUPS", "IFS", "LINENO", "OPTIND", "PPID", "RANDOM", "SECONDS"}
    | {"SHELLOPTS", "SRANDOM", "UID", "_"}
)
_TRAILER_LIMIT = 4096
_SEPARATOR = b"\x1e"
#: Files of a command, in the run directory: its inputs, and those that it may leave.
INPUTS_FILE = "inputs"
OUTPUT_FILES = ("result", "metrics", "artifacts", "annotations")
#: Maximum bytes that are read of one of `OUTPUT_FILES`.
MAX_FILE = 16 << 20
#: The JUnit files of a command, as one file: each after a line `JUNIT_START` and its name.
JUNIT_FILES = "junit"
#: The coverage files of a command, in the same form.
COVERAGE_FILES = "coverage"
#: ``{variable of a node: name of the files}`` of both.
REPORT_FILES = {JUNIT: JUNIT_FILES, COVERAGE: COVERAGE_FILES}
JUNIT_START = b"\n\x1ejunit "
#: Maximum bytes of all of them.
MAX_JUNIT = 64 << 20
#: Line length in bytes from which starting `head` is faster than reading byte by byte, as in bash.
_LONG = 2048


class ServerProtocolError(Exception):
    """The output is not that of a command server: a bug, or another program responded."""


def reports_in(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each of the JUnit or coverage files of a command."""
    for part in data.split(JUNIT_START)[1:]:
        name, _, content = part.partition(b"\n")
        yield name.decode(errors="replace"), content


def server_argv(shell: str, run_directory: str = RUN_DIRECTORY) -> list[str]:
    """Return the command line of the server, for process 1 of a container."""
    return ["/bin/sh", "-c", server_code(), "conducto-command-server", run_directory, shell]


def server_code() -> str:
    code = shell_code("command_server.sh").replace("FILE_LIMIT", str(MAX_FILE))
    return code.replace("JUNIT_LIMIT", str(MAX_JUNIT))


def shell_code(name: str) -> str:
    """Return the code in a file of this package, without comments."""
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))


def settings_line(shell: str | None, workdir: str | None) -> bytes:
    """Return the line that sets another shell or directory in a running server."""
    code = "" if shell is None else f"_cs_shell={quoted(shell)};"
    code += "" if workdir is None else f"_cs_cwd={quoted(workdir)};"
    return f"{code}:\n".encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class EncodedJob:
    """The input for the server's stdin.

    Attributes:
        nonce: The identifier of both trailers.
    """

    line: bytes
    nonce: str


class JobEncoder:
    """Encodes commands for one server.

    The server keeps the first command's environment; later commands send only differences, because
    each byte of a short line costs the server's shell a system call. One command's variables never
    reach another.
    """

    def __init__(self) -> None:
        self._base: dict[str, str] | None = None

    def encode(self, script: str, env: Mapping[str, str], inputs: str = "") -> EncodedJob:
        """Return the line that runs ``script`` with ``env`` on top of the container's environment.

        ``inputs`` is the content of the command's file of inputs; without it there is no such file.

        Raises:
            ValueError: there is a NUL in the script or a value, or a name is empty or contains
                ``=``.
        """
        if "\0" in script:
            raise ValueError("a command cannot hold a NUL character: a shell cannot read it")
        for name, value in env.items():
            _check_variable(name, value)
        nonce = secrets.token_hex(8)
        given = f"_cs_inputs={quoted(inputs)};" if inputs else ""
        for variable, name in REPORT_FILES.items():
            if env.get(variable):
                given += f"_cs_{name}={quoted(env[variable])};"
        if env.get(NODE_DATA):
            given += f"_cs_node={quoted(env[NODE_DATA])};"
        action = f"_cs_run {nonce}"
        call = native_call(script)
        if call and _may_fork(env):
            action = " ".join(("_cs_call", nonce, *map(quoted, call)))
        script_code = f"_cs_script={quoted(script)};"
        code = f"{self._environment(env)}{given}{script_code}{action}\n"
        line = code.encode("utf-8", "surrogateescape")
        head = f"_cs_load {len(line)} {nonce}\n".encode() if len(line) > _LONG else b""
        return EncodedJob(head + line, nonce)

    def _environment(self, env: Mapping[str, str]) -> str:
        plain = {name: value for name, value in env.items() if _is_plain(name)}
        special = {name: value for name, value in env.items() if name not in plain}
        base = _next_base(self._base, plain)
        changed = {name: value for name, value in plain.items() if base.get(name) != value}
        code = f"_cs_env() {{ {_exports(changed, '$1')}{_through_env(special)}:;}};"
        if base != self._base:
            code = f"_cs_base() {{ {_exports(base, '$1')}:;}};{code}"
            self._base = base
        return code


def _may_fork(env: Mapping[str, str]) -> bool:
    """Return whether a call may run in a fork.

    If a fork fails, all processes are killed before the call runs in an interpreter of its own, and
    with them the relay of a channel.
    """
    return env.get(ISOLATE) != "1" and CHANNEL not in env and all(map(_is_plain, env))


def native_call(script: str) -> list[str] | None:
    """Return file, function and arguments if a command only calls a function of a Python file."""
    if not script.startswith("conducto ") or "\n" in script:
        return None
    try:
        words = shlex.split(script)
    except ValueError:
        return None
    _conducto, *call = words
    if len(call) < 2 or not call[0].endswith(".py") or not call[1].isidentifier():  # noqa: PLR2004
        return None
    return call if shlex.join(words) == script else None


def _next_base(base: dict[str, str] | None, env: dict[str, str]) -> dict[str, str]:
    """Return the variables that the server should keep, all of which are in ``env``.

    A variable that a command does not set must not be kept: it may hide the image's own value.
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


@lru_cache(maxsize=1024)
def _is_plain(name: str) -> bool:
    return (
        _IDENTIFIER.fullmatch(name) is not None
        and name not in _SPECIAL
        and not name.startswith(("BASH", "_cs_", "_n"))
    )


def quoted(text: str) -> str:
    """Return shell code on one line for the value ``text``; ``_n`` must be a newline there."""
    inside = text.replace("'", "'\\''").replace("\n", "'\"$_n\"'")
    return f"'{inside}'"


def assignments(env: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return code that exports an environment, and arguments of ``env`` for the other variables.

    Raises:
        ValueError: a name is empty or contains ``=``, or there is a NUL.
    """
    for name, value in env.items():
        _check_variable(name, value)
    plain = {name: value for name, value in env.items() if _is_plain(name)}
    return _exports(plain), [f"{name}={env[name]}" for name in env if name not in plain]


def _exports(env: Mapping[str, str], command: str = "export") -> str:
    if not env:
        return ""
    words = " ".join(f"{name}={quoted(value)}" for name, value in env.items())
    return f"{command} {words};"


def _through_env(env: Mapping[str, str]) -> str:
    if not env:
        return ""
    words = " ".join(quoted(f"{name}={value}") for name, value in env.items())
    return f'exec env {words} "$_cs_shell" "$_cs_file";'


@dataclass(frozen=True, slots=True)
class Finished:
    """The contents of a trailer.

    Attributes:
        code: Exit code; 128 + signal if a signal ended the command.
        oom_kills: Processes that the kernel killed for memory while the command ran.
        peak_memory: Bytes; the container's maximum since it started. None if unknown.
        files: ``{name: content}`` of the `OUTPUT_FILES` that the command left, and `REPORT_FILES`.
        interpreter: Of a native function: `FORKED`, or why it got a new interpreter; else empty.
    """

    code: int
    oom_kills: int
    peak_memory: int | None
    files: Mapping[str, bytes] = field(default_factory=dict)
    interpreter: str = ""


class OutputParser:
    """Separates one command's output from its trailers; chunks may end anywhere."""

    def __init__(self, nonce: str) -> None:
        self._streams = {"stdout": _StreamParser(nonce), "stderr": _StreamParser(nonce)}

    def feed(self, stream: Stream, chunk: bytes) -> bytes:
        """Return the part of the output that is certain now; usually the whole chunk."""
        return self._streams[stream].feed(chunk)

    def parts(self, stream: Stream, chunk: bytes) -> list[tuple[Part, bytes]]:
        """Return the frames that are complete now, and the output as `feed` does."""
        text = self.feed(stream, chunk)
        frames = self._streams[stream].frames
        if not frames:
            return [(stream, text)] if text else []
        self._streams[stream].frames = []
        found: list[tuple[Part, bytes]] = [("frame", frame) for frame in frames]
        return [*found, (stream, text)] if text else found

    @property
    def has_stdout_ended(self) -> bool:
        return self._streams["stdout"].trailer is not None

    def end_stderr(self) -> list[tuple[Part, bytes]]:
        """Note that all of stderr has arrived, without a trailer; return output held back."""
        rest = self._streams["stderr"].end()
        return [("stderr", rest)] if rest else []

    @property
    def finished(self) -> Finished | None:
        """The result of the command; None until both trailers are complete.

        Raises:
            ServerProtocolError: the trailer is invalid.
        """
        if self._streams["stderr"].trailer is None:
            return None
        stdout = self._streams["stdout"]
        return None if stdout.trailer is None else _read_trailer(stdout.trailer, stdout.files)


def _read_trailer(trailer: bytes, files: Mapping[str, bytearray]) -> Finished:
    words = trailer.split(None, 3)
    numbers = words[:3]
    if len(words) < 2 or not all(word.isdigit() for word in numbers):  # noqa: PLR2004
        raise ServerProtocolError(f"the command server's trailer is unreadable: {trailer!r}")
    code, oom_kills, *peak = (int(word) for word in numbers)
    return Finished(
        code,
        oom_kills,
        peak[0] if peak and peak[0] > 0 else None,
        {name: bytes(content) for name, content in files.items()},
        words[3].decode(errors="replace").strip() if len(words) > len(numbers) else "",
    )


class _StreamParser:
    """Splits a stream: output with frames, then files, then the trailer, each after a marker.

    Attributes:
        frames: The complete frames, without their start and end.
    """

    def __init__(self, nonce: str) -> None:
        self._marker = b"\x1e" + nonce.encode("ascii")
        self._held = b""
        self._tail: bytes | None = None
        self._file: bytearray | None = None
        self._maximum = MAX_FILE
        self.frames: list[bytes] = []
        self.files: dict[str, bytearray] = {}
        self.trailer: bytes | None = None

    def feed(self, chunk: bytes) -> bytes:
        if self._tail is not None:
            self._collect(chunk)
            return b""
        data = self._held + chunk if self._held else chunk
        if _SEPARATOR not in data:
            return data
        at = data.find(self._marker)
        if at >= 0:
            self._tail = b""
            self._collect(data[at + len(self._marker) :])
            output, unfinished = self._without_frames(data[:at])
            return output + unfinished
        output, unfinished = self._without_frames(data)
        if unfinished:
            self._held = unfinished
            return output
        keep = len(output) - (len(data) - self._kept_from(data))
        self._held = output[keep:]
        return output[:keep] if self._held else output

    def end(self) -> bytes:
        """Note the end without a trailer; return the output that was held back."""
        held, self._held, self.trailer = self._held, b"", b""
        self._tail = b""  # later bytes belong to no command
        return held

    def _without_frames(self, data: bytes) -> tuple[bytes, bytes]:
        """Take the frames out of output; return the output, and a frame that is not complete."""
        parts: list[bytes] = []
        start = 0
        while (at := data.find(FRAME_START, start)) >= 0:
            end = data.find(b"\n", at, at + MAX_FRAME)
            after = data.find(_SEPARATOR, at + 1, end if end >= 0 else len(data))
            if after >= 0:  # there is none in a frame
                parts.append(data[start:after])
                start = after
            elif end >= 0:
                parts.append(data[start:at])
                self.frames.append(data[at + len(FRAME_START) : end])
                start = end + 1
            elif len(data) - at < MAX_FRAME:
                return b"".join([*parts, data[start:at]]), data[at:]
            else:
                parts.append(data[start : at + 1])
                start = at + 1
        return (b"".join([*parts, data[start:]]) if parts else data), b""

    def _kept_from(self, data: bytes) -> int:
        """Return the possible start of a marker or frame; it can only be at the last separator."""
        at = data.rfind(_SEPARATOR, max(0, len(data) - len(self._marker) + 1))
        end = data[at:] if at >= 0 else b"-"
        return at if self._marker.startswith(end) or FRAME_START.startswith(end) else len(data)

    def _collect(self, chunk: bytes) -> None:
        """Add to the files and the trailer; drop output after it, which belongs to no command."""
        self._tail = (self._tail or b"") + chunk
        while self.trailer is None:
            complete = self._content() if self._file is not None else self._line()
            if not complete:
                return

    def _line(self) -> bool:
        """Take the line after a marker: the name of a file, or the trailer."""
        line, newline, rest = (self._tail or b"").partition(b"\n")
        if not newline:
            if len(line) > _TRAILER_LIMIT:
                raise ServerProtocolError("the command server's trailer does not end")
            return False
        self._tail = rest
        if line.startswith(b"="):
            name = line[1:].decode("ascii", "replace")
            self._file = self.files[name] = bytearray()
            self._maximum = MAX_JUNIT if name in REPORT_FILES.values() else MAX_FILE
        else:
            self.trailer = line
        return True

    def _content(self) -> bool:
        """Take the content of a file up to the next marker."""
        data = self._tail or b""
        at = data.find(self._marker)
        end = at if at >= 0 else self._kept_from(data)
        if self._file is not None and len(self._file) <= self._maximum:
            self._file += data[:end]
        if at < 0:
            self._tail = data[end:]
            return False
        self._file, self._tail = None, data[at + len(self._marker) :]
        return True
