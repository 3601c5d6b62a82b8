"""Debug shells as a page has them: the agent's WebSocket, real containers."""

from __future__ import annotations

import json
import os
import re
import signal
import socket as sockets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from conducto_client import ApiError, Client, Endpoint, HttpTransport
from conducto_core.debug.model import DebugRequest
from conducto_core.debug.terminal import MAX_SHELL_AHEAD
from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import StateDir
from conducto_local.secrets.store import LocalSecrets
from support.containers import remove
from support.local import wait_for
from support.running import Person, Run, person_at
from support.stand_ins import call, ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"
TIMEOUT = 20
PROMPT = rb"[#$] "
TOKEN = "a-secret-of-the-tests"
SCRIPT = f"""
import conducto as co

NOBODY = co.Image(
    dockerfile_text="FROM {BUSYBOX}\\nUSER 4321:4321\\nWORKDIR /tmp", name="nobody"
)

def main() -> co.Parallel:
    root = co.Parallel(image={BUSYBOX!r}, cpu=0.5, mem=0.25, env={{"GREETING": "it's $me"}})
    root["bad"] = co.Exec("pwd; echo $GREETING; exit 3")
    root["kept"] = co.Exec("echo then >/left-behind; exit 4", params={{"snapshot_on_error": True}})
    root["nobody"] = co.Exec("id -u; pwd; touch /conducto/data/pipeline/mine", image=NOBODY)
    return root

if __name__ == "__main__":
    co.main(default=main)
"""


@dataclass
class Page:
    """A user with one pipeline that has run, and with access to the agent."""

    person: Person
    run: Run

    @property
    def files(self) -> AgentFiles:
        return AgentFiles(StateDir(self.person.base, self.person.profile).agent)

    @property
    def endpoint(self) -> Endpoint:
        state, token = self.files.read_state(), self.files.read_token()
        assert state is not None
        assert token is not None
        return Endpoint(state.url, token)

    def ticket(self, path: str, **asked: Any) -> str:
        request = DebugRequest(path=path, **asked)
        with Client(HttpTransport(self.endpoint)) as client:
            return client.open_shell(self.run.id, request).ticket

    @contextmanager
    def shell(
        self, path: str, *, size: tuple[int, int] = (24, 200), ready: bool = True, **asked: Any
    ) -> Iterator[Shell]:
        """Open a shell; when it is ready, it has shown its prompt."""
        code, (lines, columns) = self.ticket(path, **asked), size
        place = self.endpoint.url.replace("http", "ws", 1)
        address = f"{place}/api/v1/shell?ticket={code}&lines={lines}&columns={columns}"
        headers = {"Authorization": f"Bearer {self.endpoint.token}"}
        options: dict[str, Any] = {"additional_headers": headers, "proxy": None}
        with connect(address, close_timeout=1, **options) as socket:
            shell = Shell(socket)
            if ready:
                shell.until(PROMPT)
            yield shell

    def containers(self) -> list[dict[str, Any]]:
        """Return the engine's description of the pipeline's debug containers."""
        labels = json.dumps({"label": [f"com.conducto.debug={self.run.id}"]})
        found = json.loads(call("GET", "/containers/json", {"all": "1", "filters": labels})[1])
        return [json.loads(call("GET", f"/containers/{c['Id']}/json")[1]) for c in found]

    def scripts(self) -> list[str]:
        home = StateDir(self.person.base, self.person.profile).pipeline(self.run.id).root
        return [one.name for one in (home / "debug").glob("shell-*")]


@dataclass
class Shell:
    """One shell over its WebSocket.

    Attributes:
        seen: Its output that the test has not read yet.
        taken: Number of bytes of its output.
        end: Its result.
    """

    socket: ClientConnection
    seen: bytes = b""
    taken: int = 0
    end: dict[str, Any] | None = field(default=None)

    def take(self, *, tell: bool = True) -> None:
        """Take in one frame."""
        frame = self.socket.recv(timeout=TIMEOUT)
        if isinstance(frame, str):
            self.end = json.loads(frame)
            return
        self.seen += frame
        self.taken += len(frame)
        if tell:
            self.socket.send(json.dumps({"taken": self.taken}))

    def take_what_is_on_its_way(self) -> None:
        """Read output until none comes for a second, without acknowledging it."""
        with suppress(TimeoutError):
            while True:
                self.taken += len(self.socket.recv(timeout=1))

    def until(self, pattern: bytes) -> bytes:
        """Return the output before ``pattern``."""
        while (found := re.search(pattern, self.seen)) is None:
            assert self.end is None, (self.end, self.seen)
            self.take()
        before, self.seen = self.seen[: found.start()], self.seen[found.end() :]
        return before

    def says(self, command: str) -> str:
        """Return the output of a command."""
        mark = uuid.uuid4().hex  # typed in two parts, so that its echo is not taken for it
        self.socket.send(f"{command}; echo {mark[:8]}''{mark[8:]}\r".encode())
        printed = self.until(mark.encode()).decode()
        self.until(PROMPT)
        return printed.partition(f"{mark[8:]}\r\n")[2].replace("\r", "")

    def ended(self) -> dict[str, Any]:
        """Return how it ends."""
        while self.end is None:
            self.take()
        return self.end


@contextmanager
def page_at(folder: Path) -> Iterator[Page]:
    ensure([BUSYBOX])
    script = folder / "pipeline.py"
    script.write_text(SCRIPT)
    with person_at(folder) as person:
        page = Page(person, person.run(script))
        try:
            yield page
        finally:
            left = [str(each["Name"]).lstrip("/") for each in page.containers()]
            for name in left:
                remove(name)
            person.ask("archive", page.run.id)
    assert not left


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_at(tmp_path_factory.mktemp("shells")) as one:
        yield one


@pytest.fixture(autouse=True)
def nothing_is_left(page: Page) -> Iterator[None]:
    yield
    wait_for(lambda: not page.containers())
    wait_for(lambda: not page.scripts())


def test_the_command_behaves_as_it_did_in_the_pipeline(page: Page) -> None:
    with page.shell("/bad") as shell:
        again = shell.says("sh /conducto/cmd.sh; echo code $?")
        shell.socket.send(b"exit 7\r")
        end = shell.ended()

    assert again == page.run.output("/bad") + "code 3\n"
    assert end == {"code": 7, "reason": None}


def test_container_is_removed_before_the_page_is_notified_of_the_end(page: Page) -> None:
    with page.shell("/bad") as shell:
        shell.says("true")
        (container,) = page.containers()
        shell.socket.send(b"exit\r")
        shell.ended()

        assert page.containers() == []
    assert container["HostConfig"]["NanoCpus"] == 500_000_000


def test_environment_user_directory_and_data_are_those_of_the_node(page: Page) -> None:
    with page.shell("/nobody") as shell:
        where = shell.says('echo "$GREETING $CONDUCTO_EXECUTION_ENV $TERM"; id -u; pwd')
        data = shell.says("ls /conducto/data/pipeline")

    assert where.splitlines() == ["it's $me debug_local xterm-256color", "4321", "/tmp"]
    assert data == "mine\n"


def test_secrets_are_in_the_shell_and_not_in_the_containers_definition(page: Page) -> None:
    home = StateDir(page.person.base, page.person.profile)
    store = LocalSecrets(home, lambda: None)
    store.put([StoredSecret(SecretName("user", "SHELL_TOKEN"), TOKEN)])

    with page.shell("/bad") as shell:
        printed = shell.says("echo $SHELL_TOKEN")
        (container,) = page.containers()

    assert printed == f"{TOKEN}\n"
    assert TOKEN not in json.dumps(container)


def test_the_snapshot_opens_as_the_command_left_it(page: Page) -> None:
    with page.shell("/kept", snapshot=True) as shell:
        assert shell.says("cat /left-behind") == "then\n"
    with page.shell("/kept", attempt=1) as shell:
        assert "No such file" in shell.says("cat /left-behind")


def test_shell_that_cannot_be_opened_is_rejected_before_the_websocket(page: Page) -> None:
    with pytest.raises(ApiError, match="is a Parallel, which runs no command"):
        page.ticket("/")
    with pytest.raises(ApiError, match="no attempt 9"):
        page.ticket("/bad", attempt=9)
    with pytest.raises(ApiError, match="no snapshot"):
        page.ticket("/bad", snapshot=True)


def test_the_terminal_has_the_pages_size_and_follows_it(page: Page) -> None:
    with page.shell("/bad", size=(33, 99)) as shell:
        first = shell.says("stty size")
        shell.socket.send(json.dumps({"lines": 50, "columns": 132}))
        wait_for(lambda: shell.says("stty size") == "50 132\n")

    assert first == "33 99\n"


def test_control_keys_reach_the_running_program(page: Page) -> None:
    with page.shell("/bad") as shell:
        # One program prints and then sleeps, so it is in the foreground by then.
        shell.socket.send(b"sh -c \"echo begun''; exec sleep 600\"\r")
        shell.until(rb"begun\r\n")
        shell.socket.send(b"\x03")
        shell.until(PROMPT)

        assert shell.says("echo still there") == "still there\n"


def test_a_long_output_comes_whole_and_in_order(page: Page) -> None:
    with page.shell("/bad") as shell:
        printed = shell.says("seq 200000")

    assert printed == "".join(f"{n}\n" for n in range(1, 200_001))


def test_unresponsive_page_receives_little_and_blocks_no_other(page: Page) -> None:
    with page.shell("/bad") as shell:
        shell.socket.send(b"yes\r")
        while shell.taken < MAX_SHELL_AHEAD:
            shell.take(tell=False)
        shell.take_what_is_on_its_way()

        with Client(HttpTransport(page.endpoint)) as client:
            assert client.status().shell
        assert shell.taken < 2 * MAX_SHELL_AHEAD + (1 << 20)
        shell.socket.send(json.dumps({"taken": shell.taken}))
        shell.take()  # it continues


@pytest.mark.parametrize("manner", ["politely", "without a word"])
def test_a_page_that_is_closed_takes_its_container_along(page: Page, manner: str) -> None:
    with page.shell("/bad") as shell:
        shell.says("true")
        assert len(page.containers()) == 1
        if manner == "politely":
            shell.socket.close()
        else:
            shell.socket.socket.shutdown(sockets.SHUT_RDWR)

        wait_for(lambda: not page.containers())


def test_a_page_that_is_closed_while_the_shell_opens_leaves_nothing(page: Page) -> None:
    for _ in range(5):
        with page.shell("/bad", ready=False):
            pass

    wait_for(lambda: not page.containers())


def test_removed_container_is_reported(page: Page) -> None:
    with page.shell("/bad") as shell:
        shell.says("true")
        (container,) = page.containers()
        call("DELETE", f"/containers/{container['Id']}", {"force": "1"})

        end = shell.ended()

    removed = "/bad: the shell's container was removed from outside"
    # The engine may still know how the shell itself ended.
    assert end in ({"code": 137, "reason": None}, {"code": None, "reason": removed})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_an_agent_that_ends_takes_its_shells_along(tmp_path: Path, number: signal.Signals) -> None:
    with page_at(tmp_path) as own:
        with own.shell("/bad") as shell:
            shell.says("true")
            assert len(own.containers()) == 1
            pid = own.files.holder()
            assert pid is not None

            os.kill(pid, number)

            with pytest.raises(ConnectionClosed):
                shell.ended()
            wait_for(lambda: not own.containers())
        own.person.ask("agent", "start")
