"""The stand-in for CodeBuild: what a build delivers, and builds that do not end well."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conducto_core.images.build_plan import MAX_STEPS, steps_in
from conducto_emulator.moto.server import shared_address
from conducto_emulator.tasks.builds import BuildContainer, BuildService
from conducto_emulator.tasks.containers import LABEL
from support.bucket import HttpBucket
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.docker,
    pytest.mark.cloud,
    pytest.mark.skipif(shutil.which("curl") is None, reason="builds deliver with curl"),
]
DELIVER = resources.files("conducto_core.images").joinpath("push.sh").read_text()
MAX_OUTPUT = 1 << 20
#: Waits for `Stand.open_gate`.
WAIT = 'until [ -e "$HOME/gate" ]; do sleep 0.1; done'


class Stand:
    """A build service with a bucket, and the events it sends."""

    def __init__(self, folder: Path) -> None:
        self.bucket = HttpBucket(host=shared_address())
        self.news: list[Any] = []
        self.over = threading.Event()
        ensure(["busybox:latest"])
        self.folder = folder
        container = BuildContainer("busybox:latest", {LABEL: "test"})
        self.service = BuildService(folder, container, self._ended, minute=1.0)

    def _ended(self, detail: Any) -> None:
        self.news.append(detail)
        self.over.set()

    def build(self, script: str, minutes: float = 60.0, token: str = "", before: str = ":") -> Any:
        """Run push.sh around a build that does something else, with programs of ``bin``."""
        files = {"build.sh": script, "push.sh": DELIVER}
        made = [f"cat >{name} <<'__END__'\n{text}\n__END__" for name, text in files.items()]
        run = 'PATH="$PWD/bin:$PATH" sh push.sh'
        spec = {"phases": {"build": {"commands": [*made, before, run]}}}
        variables = {
            "LOG_URL": f"{self.bucket.url}/log",
            "STEPS_URL": f"{self.bucket.url}/steps",
            "CONDUCTO_PIPELINE": "abc-def",
        }
        return self.service.start(
            {
                "buildspecOverride": json.dumps(spec),
                "environmentVariablesOverride": [
                    {"name": name, "value": value} for name, value in variables.items()
                ],
                "timeoutInMinutesOverride": minutes,
                "idempotencyToken": token,
            }
        )

    def open_gate(self, build: Any) -> None:
        """Let a waiting build continue; its folder is all that it has of this machine."""
        (self.folder / build.id.rpartition(":")[2] / "gate").touch()

    def logs(self) -> list[bytes]:
        """Return the output, as it was delivered time after time."""
        return [body for path, body in self.bucket.puts if path == "/log"]

    def steps(self) -> list[tuple[str, bool, str | None]]:
        """Return name, whether it is over, and error of the steps that were delivered last."""
        told = steps_in(self.bucket.taken.get("/steps", b"").decode())
        return [(step.name, step.ended is not None, step.error) for step in told]

    def end(self) -> None:
        assert self.over.wait(60)
        self.over.clear()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    made = Stand(tmp_path)
    yield made
    made.service.close()
    made.bucket.close()
    assert list(tmp_path.iterdir()) == []


def test_build_delivers_its_output_and_its_end(stand: Stand) -> None:
    build = stand.build("echo '==> building'; echo err >&2")
    stand.end()

    assert build.status == "SUCCEEDED"
    assert stand.logs()[-1] == b"==> building\nerr\n"
    (detail,) = stand.news
    assert detail["build-status"] == "SUCCEEDED"


def test_a_build_delivers_while_it_runs(stand: Stand) -> None:
    build = stand.build(f"echo one; {WAIT}; echo two")
    arrived = threading.Event()
    for _ in range(600):
        if stand.logs() or arrived.wait(0.1):
            break
    assert stand.logs()[0] == b"one\n"

    stand.open_gate(build)
    stand.end()

    assert (build.status, stand.logs()[-1]) == ("SUCCEEDED", b"one\ntwo\n")


def test_running_build_reports_its_steps(stand: Stand) -> None:
    build = stand.build(
        f"echo '==> building'; echo '#5 [1/1] RUN x'; {WAIT}; echo '#5 DONE 0.2s'; exit 3"
    )
    soon = time.monotonic() + 60
    while len(stand.steps()) < 2 and time.monotonic() < soon:
        time.sleep(0.1)
    under_way = stand.steps()

    stand.open_gate(build)
    stand.end()

    assert under_way == [("building", False, None), ("[1/1] RUN x", False, None)]
    assert stand.steps() == [("building", True, "the build failed"), ("[1/1] RUN x", True, None)]


def test_steps_of_a_build_with_excessive_output_are_shown(stand: Stand) -> None:
    noise = "head -c 4194304 /dev/zero | tr '\\0' '\\377'; echo"
    many = f'n=0; while [ $n -lt {MAX_STEPS * 5} ]; do n=$((n + 1)); echo "#$n [$n] RUN"; done'
    build = stand.build(f"echo '==> building'; {noise}; echo '#0 [a] RUN x'; {many}")
    stand.end()

    assert build.status == "SUCCEEDED"
    assert [name for name, *_ in stand.steps()[:2]] == ["building", "[a] RUN x"]
    assert len(stand.steps()) == MAX_STEPS
    assert len(stand.bucket.taken["/steps"]) < 1 << 16


def test_machine_without_step_selection_builds_completely(stand: Stand) -> None:
    broken = "mkdir bin; printf '#!/bin/sh\\nexit 2\\n' >bin/grep; chmod +x bin/grep"
    build = stand.build("echo '==> building'; head -c 4194304 /dev/zero", before=broken)
    stand.end()

    assert (build.status, stand.steps()) == ("SUCCEEDED", [])


def test_a_failed_build_fails_with_its_code(stand: Stand) -> None:
    build = stand.build("echo no space; exit 7")
    stand.end()

    assert (build.status, stand.logs()[-1]) == ("FAILED", b"no space\n")


def test_long_output_keeps_its_beginning_and_end(stand: Stand) -> None:
    build = stand.build("echo first; head -c 52428800 /dev/zero | tr '\\0' x; echo; echo last")
    stand.end()

    log = stand.logs()[-1]
    assert build.status == "SUCCEEDED"
    assert log.startswith(b"first\nxxx")
    assert log.endswith(b"x\nlast\n")
    assert b"(what the build printed in between was not kept)" in log
    assert len(log) < 2 * MAX_OUTPUT + 100


def test_a_build_that_hangs_is_ended(stand: Stand) -> None:
    build = stand.build("echo waiting; sleep 600", minutes=2.0)
    stand.end()

    assert build.status == "TIMED_OUT"


def test_missing_docker_client_is_reported(stand: Stand) -> None:
    stand.service.client = "docker-is-not-here"
    build = stand.build("exit 0")
    stand.end()

    assert build.status == "FAILED"
    assert b"the docker client, which is not installed" in stand.logs()[0]


def test_repeated_build_request_with_a_known_token_returns_the_same_build(stand: Stand) -> None:
    first = stand.build("exit 0", token="t-1")
    second = stand.build("exit 0", token="t-1")
    stand.end()

    assert first is second
    assert len(stand.news) == 1


def test_builds_see_neither_files_nor_the_environment_of_the_host(
    stand: Stand, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("home") / "secret"
    secret.write_text("of the host")
    os.environ["CONDUCTO_TEST_SECRET"] = "of the host"
    try:
        build = stand.build(f"cat {secret} || env; id -u")
        stand.end()
    finally:
        del os.environ["CONDUCTO_TEST_SECRET"]

    said = stand.logs()[-1].decode()
    assert (build.status, "PATH=" in said, "of the host" in said) == ("SUCCEEDED", True, False)
    assert said.splitlines()[-1] == str(os.getuid())
