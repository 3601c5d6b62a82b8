"""The command server over FIFOs, in real containers of three shells."""

from __future__ import annotations

import itertools
import json
import time
from typing import TYPE_CHECKING

import pytest

from conducto_core.command.server import FORKED
from conducto_core.command.task_layout import CTL, ECS_VARIABLES, user_entry
from conducto_worker.agent.fifo_channel import FifoCommands
from conducto_worker.agent.port import BrokenError, LostError
from support.command_server import install
from support.stand_ins import call, ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from conducto_core.command.server import Finished

pytestmark = pytest.mark.docker

DASH = "conducto-test/debian:latest"
BUSYBOX = "busybox:latest"
BASH = "bash:latest"
LABEL = "com.conducto.test.cloud-worker"
_numbers = itertools.count()


class Pair:
    """A container of an image, and the agent's end of its channel."""

    def __init__(self, folder: Path, image: str, **settings: Any) -> None:
        self.commands = FifoCommands(folder, **settings)
        self.folder = folder
        self.image = image
        self.id = ""
        self.frames: list[bytes] = []

    def start(
        self,
        user: str = "",
        env: tuple[str, ...] = (),
        *,
        credentials: bool = False,
        **config: Any,
    ) -> Pair:
        self.commands.open()
        body = {
            "User": user,
            "Env": env,
            "Image": self.image,
            "Entrypoint": user_entry(credentials=credentials),
            "Cmd": [],
            "Labels": {LABEL: "1"},
            "HostConfig": {"Binds": [f"{self.folder}:{CTL}"], "NetworkMode": "none", **config},
        }
        status, response = call(
            "POST",
            "/containers/create",
            body=json.dumps(body).encode(),
            kind="application/json",
        )
        assert status == 201, response
        self.id = json.loads(response)["Id"]
        call("POST", f"/containers/{self.id}/start")
        self.commands.wait_ready(20, lambda: False)
        return self

    def begin(self, script: str, **env: str) -> None:
        self.commands.begin(script, env)

    def finish(self, seconds: float = 30) -> tuple[Finished, bytes, bytes]:
        out = {"stdout": bytearray(), "stderr": bytearray()}
        self.frames.clear()
        end = time.monotonic() + seconds
        while (finished := self.commands.finished) is None:
            assert time.monotonic() < end, bytes(out["stdout"][-200:])
            for part, data in self.commands.read(0.5):
                if part == "frame":
                    self.frames.append(data)
                else:
                    out[part] += data
        return finished, bytes(out["stdout"]), bytes(out["stderr"])

    def run(self, script: str, **env: str) -> tuple[Finished, bytes, bytes]:
        self.begin(script, **env)
        return self.finish()

    def until(self, text: bytes) -> None:
        """Read until the command has said something."""
        seen = b""
        end = time.monotonic() + 20
        while text not in seen:
            assert time.monotonic() < end, seen
            seen += b"".join(data for _, data in self.commands.read(0.5))

    def close(self) -> None:
        self.commands.close()
        call("DELETE", f"/containers/{self.id}", {"force": "1", "v": "1"})


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Any]:
    made: list[Pair] = []

    def make(image: str = BUSYBOX, *, config: Any = None, **settings: Any) -> Pair:
        ensure([image])
        folder = tmp_path / f"ctl{next(_numbers)}"
        folder.mkdir()
        made.append(Pair(folder, image, **settings))
        return made[-1].start(**(config or {}))

    yield make
    for pair in made:
        pair.close()


@pytest.fixture(params=[BUSYBOX, DASH, BASH], ids=["busybox", "dash", "bash"])
def pair(request: pytest.FixtureRequest, pairs: Any) -> Pair:
    made: Pair = pairs(request.param)
    return made


def test_commands_run_one_after_the_other(pair: Pair) -> None:
    first = pair.run('echo "$A"; echo err >&2; exit 3', A="it's\nso")
    second = pair.run('echo "${A-none}"; pwd')

    assert (first[0].code, first[1], first[2]) == (3, b"it's\nso\n", b"err\n")
    assert (second[0].code, second[1]) == (0, b"none\n/\n")


@pytest.mark.parametrize("image", [BUSYBOX, DASH, BASH], ids=["busybox", "dash", "bash"])
@pytest.mark.parametrize("user", ["", "4321:4321"], ids=["root", "nobody"])
def test_no_command_finds_the_key_to_the_tasks_role(pairs: Any, image: str, user: str) -> None:
    """ECS gives it to the container's first process; its child processes no longer have it."""
    told = tuple(f"{name}=/v2/key-to-the-role" for name in ECS_VARIABLES)
    pair = pairs(image, config={"user": user, "env": (*told, "STAYS=1")})

    _, out, _ = pair.run("env; cat /proc/1/environ /proc/[0-9]*/environ; cat /proc/1/cmdline")

    assert b"STAYS=1" in out
    assert b"conducto-worker" in out
    assert b"key-to-the-role" not in out


def test_command_gets_the_credentials_of_a_role_named_for_it_and_nothing_else(pairs: Any) -> None:
    told = [f"{name}=/v2/key-to-the-role" for name in ECS_VARIABLES]
    pair = pairs(BUSYBOX, config={"env": told, "credentials": True})

    _, out, _ = pair.run("env | grep -F key-to-the-role")

    assert out == b"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/key-to-the-role\n"


def test_frames_arrive_wherever_the_output_of_the_command_leads(pair: Pair) -> None:
    write = r"""echo a; printf '\036conducto:metrics {"value": 1}\n' >"$CONDUCTO_LIVE"; echo b"""

    direct = pair.run(write)
    frames = [*pair.frames]
    captured = pair.run(f"({write}) >/dev/null 2>&1")

    assert (direct[1], captured[1]) == (b"a\nb\n", b"")
    assert frames == pair.frames == [b'metrics {"value": 1}']


def test_ten_megabytes_come_whole(pair: Pair) -> None:
    finished, out, _ = pair.run("head -c 10000000 /dev/zero")

    assert finished.code == 0
    assert len(out) == 10_000_000


def test_a_script_larger_than_a_pipe_arrives(pair: Pair) -> None:
    text = "x" * 300_000

    assert pair.run(f"echo {text} | wc -c")[1].strip() == b"300001"


def test_term_reaches_daemons_of_a_command(pair: Pair) -> None:
    pair.begin("setsid sleep 300 & trap 'echo caught; exit 9' TERM; echo up; sleep 300 & wait")
    pair.until(b"up\n")

    pair.commands.signal("TERM")
    finished, out, _ = pair.finish()

    assert (finished.code, out) == (9, b"caught\n")


def test_a_command_that_ignores_term_is_killed(pair: Pair) -> None:
    pair.begin("trap '' TERM; echo up; while :; do sleep 1; done")
    pair.until(b"up\n")
    pair.commands.signal("TERM")
    pair.commands.read(0.3)
    assert pair.commands.finished is None

    pair.commands.signal("KILL")

    assert pair.finish()[0].code == 137
    assert pair.run("echo next")[1] == b"next\n"


def test_a_signal_for_a_command_that_has_ended_does_not_reach_the_next(pair: Pair) -> None:
    pair.run("true")
    pair.commands.signal("KILL")

    assert pair.run("sleep 0.3; echo whole")[1] == b"whole\n"


def test_no_process_of_a_command_outlives_it(pair: Pair) -> None:
    pair.run("(setsid sleep 300 &) ; sleep 301 & true")

    left = pair.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'sleep 30[01]'")[1]

    assert left == b"0\n"


def test_a_command_that_kills_everything_ends_and_the_next_can_be_stopped(pair: Pair) -> None:
    pair.run("kill -KILL -1; true")
    pair.begin("echo up; sleep 300")
    pair.until(b"up\n")

    pair.commands.signal("TERM")

    assert pair.finish()[0].code == 143


def test_command_out_of_memory_is_reported(pairs: Any) -> None:
    limit = 32 << 20
    pair = pairs(DASH, config={"Memory": limit, "MemorySwap": limit})

    finished, _, _ = pair.run("python3 -c 'x = bytearray(200 << 20)'; exit $?")

    assert finished.code != 0
    assert finished.oom_kills > 0


def test_the_shell_and_the_directory_can_be_set(pairs: Any) -> None:
    pair = pairs(DASH, shell="/bin/dash", workdir="/tmp")

    assert pair.run("readlink /proc/$$/exe; pwd")[1].splitlines()[1:] == [b"/tmp"]
    assert b"dash" in pair.run("readlink /proc/$$/exe")[1]


def test_the_best_shell_of_the_image_is_used(pairs: Any) -> None:
    assert b"bash" in pairs(DASH).run("readlink /proc/$$/exe")[1]


def test_an_image_with_a_user_of_its_own_runs_commands(pairs: Any) -> None:
    pair = pairs(config={"user": "1234:1234"})
    pair.begin("id -u; sleep 300")
    pair.until(b"1234\n")

    pair.commands.signal("TERM")

    assert pair.finish()[0].code == 143


def test_a_container_that_dies_is_lost(pairs: Any) -> None:
    pair = pairs()
    pair.begin("echo up; sleep 300")
    pair.until(b"up\n")

    call("POST", f"/containers/{pair.id}/kill")

    with pytest.raises(LostError, match="ended"):
        pair.finish()


def test_a_container_ends_when_the_agent_goes(pairs: Any) -> None:
    pair = pairs()
    pair.commands.close()

    status, response = call("POST", f"/containers/{pair.id}/wait", timeout=20)

    assert (status, json.loads(response)["StatusCode"]) == (200, 0)


def test_a_container_that_never_starts_is_broken(tmp_path: Path) -> None:
    commands = FifoCommands(tmp_path)
    commands.open()

    with pytest.raises(BrokenError, match="did not start"):
        commands.wait_ready(0.2, lambda: False)

    commands.close()


def test_restarted_agent_removes_leftovers(tmp_path: Path) -> None:
    first = FifoCommands(tmp_path)
    first.open()
    first.close()
    second = FifoCommands(tmp_path)

    second.open()

    assert (tmp_path / "up").exists()
    second.close()


def test_functions_run_in_forks(pairs: Any, tmp_path: Path) -> None:
    # The container mounts the folder of the channel only.
    env = (f"PATH={CTL}/native/bin:/usr/bin:/bin", f"PYTHONPATH={CTL}/native/lib/site-packages")
    pair = pairs(DASH, config={"env": env}, workdir=CTL)
    install(pair.folder / "native", "/usr/bin/python3")
    text = "import os, time\ndef who() -> str:\n    return str(os.getppid())\n"
    text += "def slow() -> None:\n    print('begun', flush=True)\n    time.sleep(60)\n"
    (pair.folder / "job.py").write_text(text)

    results = [pair.run("conducto job.py who", CONDUCTO_ISOLATE="0") for _ in range(3)]
    pair.begin("conducto job.py slow", CONDUCTO_ISOLATE="0")
    pair.until(b"begun")
    pair.commands.signal("TERM")
    stopped = pair.finish()[0]
    after = pair.run("conducto job.py who", CONDUCTO_ISOLATE="0")

    assert [finished.interpreter for finished, _, _ in results[1:]] == [FORKED] * 2
    assert (stopped.code, stopped.interpreter) == (143, FORKED)
    assert results[1][1] == results[2][1] == after[1]
    assert json.loads(after[0].files["result"]) == json.loads(after[1].decode().replace("'", '"'))


def test_directory_of_a_node_stays_until_its_command_succeeds(pair: Pair) -> None:
    env = {"CONDUCTO_NODE_DATA": "/tmp/data/.nodes/a"}

    pair.run('mkdir -p "$CONDUCTO_NODE_DATA"; echo 7 >"$CONDUCTO_NODE_DATA/step"; exit 1', **env)
    pair.run("true", CONDUCTO_NODE_DATA="/tmp/data/.nodes/b")
    pair.run("true")  # of a worker's first version
    second, out, _ = pair.run('cat "$CONDUCTO_NODE_DATA/step"', **env)
    _, left, _ = pair.run("ls -A /tmp/data/.nodes")

    assert (second.code, out, left) == (0, b"7\n", b"")
