"""The command server in a process namespace of its own, without a container engine."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from conducto_core.command.server import (
    ISOLATE,
    READY,
    JobEncoder,
    OutputParser,
    Stream,
    server_argv,
)
from conducto_core.images.sdk_wheel import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
_SECONDS = 120
_USER = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_NAMESPACE = ["unshare", *_USER, "--pid", "--fork", "--kill-child", "--mount-proc"]


@cache
def namespaces_available() -> bool:
    """Return whether a test may create process namespaces on this machine."""
    if shutil.which("unshare") is None:
        return False
    done = subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False)
    return done.returncode == 0


@dataclass(frozen=True)
class Result:
    """The output and the exit code of a command."""

    out: str
    err: str
    code: int
    files: Mapping[str, bytes]
    interpreter: str = field(compare=False)


def install(folder: Path, python: str) -> None:
    """Install the author API below ``folder``, for a Python that runs ``bin/conducto``."""
    site = folder / "lib" / "site-packages"
    shutil.copytree(ROOT / "sdk" / "conducto", site / "conducto", dirs_exist_ok=True)
    module, _, function = SCRIPTS["conducto"].partition(":")
    script = folder / "bin" / "conducto"
    script.parent.mkdir(parents=True)
    script.write_text(
        f"#!{python}\nimport sys\nfrom {module} import {function}\n\nsys.exit({function}())\n"
    )
    script.chmod(0o755)


class CommandServer:
    """A command server, and the directory ``work`` in which its commands run.

    Its directory of pipes has pipes without a host at the other end, as in a virtual machine.
    """

    def __init__(
        self, folder: Path, python: str = sys.executable, shell: str = "/bin/bash"
    ) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.run_directory = folder / "run"
        for path in (self.work, self.run_directory):
            path.mkdir()
        install(folder, python)
        env = {
            "PATH": f"{folder}/bin:{Path(python).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": f"{folder}/lib/site-packages",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
        }
        self._kill_file = folder / "kill"
        os.mkfifo(self._kill_file)
        self._kill = os.open(self._kill_file, os.O_RDWR)
        pipes = folder / "pipes"
        pipes.mkdir()
        for name in ("in", "out", "err"):
            os.mkfifo(pipes / name)
        argv = [*server_argv(shell, str(self.run_directory)), str(self._kill_file), str(pipes)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*_NAMESPACE, *argv], cwd=self.work, env=env, stdin=pipe, stdout=pipe, stderr=pipe
        )
        self._encoder = JobEncoder()
        self._output: dict[Stream, bytes] = {}
        self._expect(READY)
        self.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()
        os.close(self._kill)

    def write(self, name: str, text: str) -> None:
        """Write a file into the working directory."""
        (self.work / name).write_text(text)

    def run(self, script: str, **env: str) -> Result:
        """Run a command; a native function in a new interpreter."""
        self.start(script, {**env, ISOLATE: "1"})
        return self.finish()

    def call(self, script: str, **env: str) -> Result:
        """Run a command; a native function in a fork if possible."""
        self.start(script, {**env, ISOLATE: "0"})
        return self.finish()

    def start(self, script: str, env: Mapping[str, str], inputs: str = "") -> None:
        """Start a command."""
        job = self._encoder.encode(script, env, inputs)
        stdin = self._process.stdin
        assert stdin is not None
        self._expect(job.nonce)
        stdin.write(job.line)
        stdin.flush()

    def signal(self, name: str) -> None:
        """Send a signal to every process of the running command, as a worker's agent does."""
        os.write(self._kill, f"{name} {self._nonce}\n".encode())

    def until(self, text: str) -> None:
        """Read until the running command has printed a text."""
        self._read(lambda: text.encode() in self._output["stdout"])

    def finish(self) -> Result:
        """Return the result of the running command when it has ended."""
        self._read(lambda: self._parser.finished is not None)
        finished = self._parser.finished
        assert finished is not None
        out, err = (
            self._output[stream].decode(errors="backslashreplace")
            for stream in ("stdout", "stderr")
        )
        return Result(out, err, finished.code, finished.files, finished.interpreter)

    def _expect(self, nonce: str) -> None:
        self._nonce, self._parser = nonce, OutputParser(nonce)
        self._output = {"stdout": b"", "stderr": b""}

    def _read(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(_fd(self._process.stdout), selectors.EVENT_READ, "stdout")
            selector.register(_fd(self._process.stderr), selectors.EVENT_READ, "stderr")
            while not enough():
                assert time.monotonic() < deadline, f"too late: {self._output}"
                for key, _ in selector.select(1):
                    data = os.read(key.fd, 65_536)
                    assert data, f"the command server has ended: {self._output}"
                    self._output[key.data] += self._parser.feed(key.data, data)


def _fd(stream: IO[Any] | None) -> int:
    assert stream is not None
    return stream.fileno()
