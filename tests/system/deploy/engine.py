"""A container engine that lives and dies with the namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from support import stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Images that the test's pipelines and the agent's own image begin with.
IMAGES = ("python:3.11-slim", "python:3.13-slim", "busybox:latest")
START_SECONDS = 60


@contextmanager
def running(folder: Path, name_server: str, cgroup: str) -> Iterator[None]:
    """Run an engine at the usual socket, which is private here; it has the base images.

    Args:
        folder: Keeps its data, which is removed, and its log.
        name_server: Address of the name server of containers.
        cgroup: Name of the control group that holds all containers.
    """
    data = folder / "engine"
    shutil.rmtree(data, ignore_errors=True)
    words = ["dockerd", "--data-root", str(data), "--dns", name_server]
    words += ["--cgroup-parent", f"/{cgroup}", "--userland-proxy=false"]
    environment = {**os.environ, "SSL_CERT_FILE": str(folder / "bundle.pem")}
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process)
            stand_ins.ensure(IMAGES, lambda line: print(line, file=sys.stderr))  # noqa: T201
            yield
        finally:
            process.terminate()  # it stops its containers
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            if stand_ins.call("GET", "/_ping", timeout=5)[0] == 200:
                return
        except stand_ins.StandInError:
            pass
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit("the container engine does not start; see engine.log")
        time.sleep(0.1)
