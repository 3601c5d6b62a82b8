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
from typing import IO, TYPE_CHECKING, Any, Literal, Self

from conducto_core.images.sdk_wheel import SCRIPTS
from conducto_core.runtime.command_server import (
    ISOLATE,
    READY,
    JobEncoder,
    OutputParser,
    server_argv,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    script.parent.mkdir()
    script.write_text(
        f"#!{python}\nimport sys\nfrom {module} import {function}\n\nsys.exit({function}())\n"
    )
    script.chmod(0o755)


class CommandServer:
    """A command server, and the directory ``work`` in which its commands run."""

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
        argv = server_argv(shell, str(self.run_directory))
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [*_NAMESPACE, *argv], cwd=self.work, env=env, stdin=pipe, stdout=pipe, stderr=pipe
        )
        self._encoder = JobEncoder()
        self._read(READY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def write(self, name: str, text: str) -> None:
        """Write a file into the working directory."""
        (self.work / name).write_text(text)

    def run(self, script: str, **env: str) -> Result:
        """Run a command; a native function in a new interpreter."""
        return self.send(script, {**env, ISOLATE: "1"})

    def call(self, script: str, **env: str) -> Result:
        """Run a command; a native function in a fork if possible."""
        return self.send(script, {**env, ISOLATE: "0"})

    def send(self, script: str, env: Mapping[str, str]) -> Result:
        return self._read(self.start(script, env))

    def start(self, script: str, env: Mapping[str, str]) -> str:
        """Start a command; return its nonce."""
        job = self._encoder.encode(script, env)
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(job.line)
        stdin.flush()
        return job.nonce

    def _read(self, nonce: str) -> Result:
        parser = OutputParser(nonce)
        streams: dict[Literal["stdout", "stderr"], bytes] = {"stdout": b"", "stderr": b""}
        deadline = time.monotonic() + _SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(_fd(self._process.stdout), selectors.EVENT_READ, "stdout")
            selector.register(_fd(self._process.stderr), selectors.EVENT_READ, "stderr")
            while (finished := parser.finished) is None:
                assert time.monotonic() < deadline, f"no end of the command: {streams}"
                for key, _ in selector.select(1):
                    data = os.read(key.fd, 65_536)
                    assert data, f"the command server has ended: {streams}"
                    streams[key.data] += parser.feed(key.data, data)
        out, err = (data.decode(errors="backslashreplace") for data in streams.values())
        return Result(out, err, finished.code, finished.files, finished.interpreter)


def _fd(stream: IO[Any] | None) -> int:
    assert stream is not None
    return stream.fileno()
