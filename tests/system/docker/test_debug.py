"""Debug shells as a person has them: the command line on a real terminal, real containers."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_local.agent.state_dir import StateDir
from conducto_local.secrets.store import LocalSecrets
from support.containers import remove
from support.local import wait_for
from support.running import Person, Run, person_at
from support.stand_ins import call, ensure

pytestmark = pytest.mark.docker

BUSYBOX = "conducto-test/busybox:latest"
DEBIAN = "conducto-test/debian:latest"
TIMEOUT = 20
TOKEN = "a-secret-of-the-tests"
SCRIPT = f"""
import conducto as co

CODE = co.Image(image={BUSYBOX!r}, copy_dir="code", name="code")
PLAIN = co.Image(
    dockerfile_text="FROM {DEBIAN}\\nRUN echo export FROM_A_FILE=1 >/root/.bashrc", name="plain"
)
NOBODY = co.Image(dockerfile_text="FROM {BUSYBOX}\\nUSER 4321:4321", name="nobody")

def main() -> co.Parallel:
    root = co.Parallel(image=CODE, cpu=0.5, mem=0.25, env={{"GREETING": "it's $me"}})
    root["bad"] = co.Exec("pwd; echo $GREETING; cat word; exit 3")
    root["kept"] = co.Exec("touch /left-behind; exit 4", params={{"snapshot_on_error": True}})
    root["plain"] = co.Exec("shopt -q -s extglob && pwd", image=PLAIN)
    root["nobody"] = co.Exec("id -u; touch /conducto/data/pipeline/mine", image=NOBODY)
    root["a b"] = co.Exec("echo blank")
    return root

if __name__ == "__main__":
    co.main(default=main)
"""


class Desk:
    """A person with one pipeline that has run."""

    def __init__(self, person: Person, folder: Path) -> None:
        self.person = person
        self.folder = folder
        self.script = folder / "pipeline.py"
        self.run = person.run(self.script)

    @property
    def id(self) -> str:
        return self.run.id

    def env(self, **more: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CONDUCTO_")}
        own = {
            "CONDUCTO_BASE_DIR": str(self.person.base),
            "CONDUCTO_PROFILE": self.person.profile,
            "TERM": "xterm",
        }
        return {**inherited, **own, **more}

    def words(self, *words: str) -> list[str]:
        code = "import sys; from conducto.tools.entry import main; sys.exit(main())"
        return [sys.executable, "-c", code, *words]

    def piped(self, script: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Let a shell run a script that comes on its stdin."""
        return subprocess.run(
            self.words(*words),
            input=script,
            env=self.env(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def printed(self, *words: str) -> str:
        done = self.piped("", *words, "--print")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def containers(self) -> list[dict[str, Any]]:
        """Return the engine's description of the pipeline's debug containers."""
        labels = json.dumps({"label": [f"com.conducto.debug={self.id}"]})
        found = json.loads(call("GET", "/containers/json", {"all": "1", "filters": labels})[1])
        return [json.loads(call("GET", f"/containers/{c['Id']}/json")[1]) for c in found]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    ensure([BUSYBOX, DEBIAN])
    folder = tmp_path_factory.mktemp("debug")
    (folder / "code").mkdir()
    (folder / "code" / "word").write_text("from the host\n")
    (folder / "pipeline.py").write_text(SCRIPT)
    with person_at(folder) as person:
        desk = Desk(person, folder)
        try:
            yield desk
        finally:
            left = [str(each["Name"]).lstrip("/") for each in desk.containers()]
            for name in left:
                remove(name)
            person.ask("archive", desk.id)
    assert not left


class Shell:
    """A shell on a terminal of 24 lines of 200."""

    def __init__(self, desk: Desk, argv: list[str], **env: str) -> None:
        self.child = pexpect.spawn(
            argv[0],
            argv[1:],
            env=desk.env(**env),
            dimensions=(24, 200),
            timeout=TIMEOUT,
            encoding="utf-8",
            echo=False,
        )
        # Seconds in which a killed program must have ended; a busy machine takes longer than 0.1.
        self.child.ptyproc.delayafterterminate = 2.0

    def says(self, command: str) -> str:
        """Return the output of a command, on one line for each of its lines."""
        # Typed, the mark is broken up, so that the echo of the line is not taken for it.
        mark = uuid.uuid4().hex
        self.child.sendline(f"{command}; echo {mark[:8]}''{mark[8:]}")
        self.child.expect(mark)
        response = self.child.before.partition(f"{mark[8:]}\r\n")[2]
        return re.sub(r"\r|\x1b\[\?2004[hl]", "", response)  # bash brackets pasted text

    def prompt(self) -> None:
        self.child.expect(r"[#$] (\x1b\[6n)?$")  # busybox asks where the cursor is

    def leave(self, code: int = 0) -> int:
        self.child.sendline(f"exit {code}")
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus)


@pytest.fixture
def pasted(desk: Desk) -> Iterator[Any]:
    """Pastes lines into terminals; removes what a test leaves running."""

    def paste(line: str, **env: str) -> Shell:
        shell = Shell(desk, ["/bin/sh", "-c", line], **env)
        shell.prompt()
        return shell

    yield paste
    for each in desk.containers():  # `docker run` does not end with its terminal
        remove(str(each["Name"]).lstrip("/"))


@pytest.fixture
def opened(desk: Desk) -> Iterator[Any]:
    """Opens shells on terminals; closes what a test leaves open."""
    shells: list[Shell] = []

    def open_shell(*words: str) -> Shell:
        shell = Shell(desk, desk.words(*words))
        shells.append(shell)
        shell.prompt()
        return shell

    yield open_shell
    for shell in shells:
        shell.child.close(force=True)
    wait_for(lambda: not desk.containers())


def test_the_command_behaves_as_it_did_in_the_pipeline(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "bad")

    assert shell.says("/conducto/cmd.sh") == desk.run.output("/bad")
    assert shell.says("sh /cmd.conducto; echo code $?") == desk.run.output("/bad") + "code 3\n"


def test_the_two_scripts_are_the_very_command(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "/bad")

    said = shell.says("cat /conducto/cmd.sh; cmp /conducto/cmd.sh /cmd.conducto && echo same")
    assert said == "#!/bin/ash\npwd; echo $GREETING; cat word; exit 3\nsame\n"


def test_the_exit_code_is_the_shells_and_nothing_is_left(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "/bad")
    assert len(desk.containers()) == 1

    assert shell.leave(42) == 42
    assert desk.containers() == []
    assert list((desk.run.data.parent / "debug").glob("shell-*")) == []


def test_the_shell_has_the_size_of_the_window(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "/bad")
    assert shell.says("stty size") == "24 200\n"

    shell.child.setwinsize(33, 99)

    wait_for(lambda: bool(shell.says("stty size") == "33 99\n"))


def test_ctrl_c_reaches_the_program_in_the_shell(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "/bad")
    shell.child.sendline("echo be''gun; sleep 1000")
    shell.child.expect("begun\r\n")

    shell.child.send("\x03")

    shell.prompt()
    assert shell.says("echo $?") == "130\n"


def test_the_terminal_is_put_back(desk: Desk, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    command = shlex.join(desk.words("debug", desk.id, "/bad"))
    outer = Shell(desk, ["/bin/sh", "-c", f"stty -a >{before}; {command}; stty -a >{after}"])
    outer.prompt()

    outer.leave()

    assert before.read_text() == after.read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_end_of_the_client_ends_the_container(
    number: signal.Signals, desk: Desk, opened: Any
) -> None:
    shell = opened("debug", desk.id, "/bad")

    os.kill(shell.child.pid, number)

    wait_for(lambda: not desk.containers())


def test_the_container_has_the_nodes_limits_data_and_network(desk: Desk, opened: Any) -> None:
    opened("debug", desk.id, "/bad")

    (container,) = desk.containers()

    config = container["HostConfig"]
    assert (config["NanoCpus"], config["Memory"], config["MemorySwap"]) == (5 * 10**8, 2**28, 2**28)
    assert list(container["NetworkSettings"]["Networks"]) == [f"conducto_network_{desk.id}"]
    targets = {mount["Destination"] for mount in container["Mounts"]}
    assert {"/conducto/data/pipeline", "/conducto/data/user"} <= targets


def test_data_written_in_a_shell_is_visible_to_the_pipeline(desk: Desk) -> None:
    done = desk.piped("echo hello >/conducto/data/pipeline/from-shell", "debug", desk.id, "/bad")

    assert (done.returncode, done.stderr) == (0, "")
    assert (desk.run.data / "from-shell").read_text() == "hello\n"


def test_a_script_can_be_piped_in_and_its_streams_stay_apart(desk: Desk) -> None:
    done = desk.piped("echo out; echo err >&2; exit 9", "debug", desk.id, "/bad")

    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 9)


def test_user_other_than_root_runs_and_modifies_the_command(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "/nobody")

    assert shell.says("/conducto/cmd.sh") == "4321\n"
    assert shell.says("echo 'echo other' >/conducto/cmd.sh; /conducto/cmd.sh") == "other\n"


@pytest.mark.parametrize("node", ["/bad", "/nobody"])
def test_the_command_can_be_replaced_as_editors_do(desk: Desk, opened: Any, node: str) -> None:
    shell = opened("debug", desk.id, node)

    said = shell.says("cd /conducto && echo 'echo other' >n && chmod +x n && mv -f n cmd.sh; pwd")
    assert said == "/conducto\n"
    assert shell.says("/conducto/cmd.sh; sh /cmd.conducto") == "other\nother\n"


def test_bash_reads_no_file_that_the_pipeline_does_not_read(desk: Desk, opened: Any) -> None:
    shell = opened("debug", desk.id, "/plain")

    assert shell.says('echo "$BASH [$FROM_A_FILE]"').endswith("/bash []\n")
    assert shell.says("/conducto/cmd.sh") == desk.run.output("/plain")


def test_a_path_with_a_blank(desk: Desk) -> None:
    done = desk.piped("/conducto/cmd.sh", "debug", desk.id, "/a b")

    assert done.stdout == "blank\n"


def test_the_printed_line_works_when_it_is_pasted(desk: Desk, pasted: Any) -> None:
    line = desk.printed("debug", desk.id, "/bad")
    shell = pasted(line)

    assert line.count("\n") == 1
    assert shell.says("/conducto/cmd.sh") == desk.run.output("/bad")
    assert shell.leave(5) == 5


def test_a_container_that_stays_has_everything_for_an_editor(desk: Desk) -> None:
    name = desk.piped("", "debug", desk.id, "/bad", "--no-shell").stdout.strip()
    try:
        inside = subprocess.run(
            ["docker", "exec", name, "/conducto/cmd.sh"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (inside.returncode, inside.stdout) == (3, desk.run.output("/bad"))
    finally:
        remove(name)


def test_a_live_shell_sees_the_hosts_code_and_writes_to_it(desk: Desk) -> None:
    (desk.folder / "code" / "new").write_text("new\n")

    done = desk.piped("cat new; echo back >made", "livedebug", desk.id, "/bad")

    assert done.stdout == "new\n"
    assert (desk.folder / "code" / "made").read_text() == "back\n"
    assert f"Mounting {desk.folder / 'code'} at /mnt/conducto\n" in done.stderr


def test_a_live_shell_needs_code_of_this_machine(desk: Desk) -> None:
    done = desk.piped("", "livedebug", desk.id, "/plain")

    assert done.returncode == 2
    assert "/plain: no live shell: image 'plain' has no copy_dir= or path_map=" in done.stderr


def test_snapshot_has_the_files_of_the_failed_command(desk: Desk) -> None:
    done = desk.piped("ls /left-behind; pwd", "debug", desk.id, "/kept", "--snapshot")
    fresh = desk.piped("ls /left-behind", "debug", desk.id, "/kept")

    assert done.stdout == "/left-behind\n/mnt/conducto\n"
    assert fresh.stdout == ""


def test_a_node_without_a_snapshot_says_how_to_get_one(desk: Desk) -> None:
    done = desk.piped("", "debug", desk.id, "/bad", "--snapshot")

    assert done.returncode == 2
    assert "snapshot_on_error=True" in done.stderr


def test_secrets_are_in_the_shell_and_nowhere_else(desk: Desk, opened: Any) -> None:
    store = LocalSecrets(StateDir(desk.person.base, desk.person.profile), lambda: None)
    store.put([StoredSecret(SecretName("user", "TOKEN"), TOKEN)])
    try:
        shell = opened("debug", desk.id, "/bad")
        (container,) = desk.containers()
        line = desk.printed("debug", desk.id, "/bad")

        assert shell.says("echo $TOKEN") == f"{TOKEN}\n"
        assert TOKEN not in json.dumps(container)
        assert TOKEN not in line
        assert " -e TOKEN " in line
    finally:
        store.delete([SecretName("user", "TOKEN")])


def test_a_pasted_line_takes_secrets_from_the_environment(desk: Desk, pasted: Any) -> None:
    store = LocalSecrets(StateDir(desk.person.base, desk.person.profile), lambda: None)
    store.put([StoredSecret(SecretName("user", "TOKEN"), TOKEN)])
    try:
        line = desk.printed("debug", desk.id, "/bad")
    finally:
        store.delete([SecretName("user", "TOKEN")])
    shell = pasted(line, TOKEN="of my own")

    assert shell.says("echo $TOKEN") == "of my own\n"
    shell.leave()


def test_an_earlier_attempt_has_its_own_command(desk: Desk) -> None:
    desk.person.ask("modify", desk.id, "/a b", "--command", "echo changed")
    desk.person.ask("reset", desk.id, "/a b")
    wait_for(lambda: len(_attempts(desk.person, desk.id, "/a b")) == 2, TIMEOUT)

    first = desk.piped("/conducto/cmd.sh", "debug", desk.id, "/a b", "--attempt", "1")
    newest = desk.piped("/conducto/cmd.sh", "debug", desk.id, "/a b")

    assert (first.stdout, newest.stdout) == ("blank\n", "changed\n")


def test_a_node_that_never_ran_opens_as_it_is_defined(desk: Desk) -> None:
    launched = desk.person._start([str(desk.script), "--local"])
    pending = Run(desk.person, launched.returncode, launched.stdout, launched.stderr).id
    try:
        done = desk.piped("/conducto/cmd.sh", "debug", pending, "/bad")
    finally:
        desk.person.ask("archive", pending)

    assert done.stdout == desk.run.output("/bad")


def test_a_native_function_runs_in_the_shell(desk: Desk, tmp_path: Path) -> None:
    ensure(["python:3.11-slim"])
    script = tmp_path / "native.py"
    script.write_text(
        textwrap.dedent(
            """
            import conducto as co

            def greet(name: str):
                print("hello", name)

            def main() -> co.Exec:
                node = co.Exec(greet, "you")
                node.image = co.Image(
                    image="python:3.11-slim", copy_dir=".", install_pip=["conducto"]
                )
                return node

            if __name__ == "__main__":
                co.main(default=main)
            """
        )
    )
    run = desk.person.run(script)
    assert run.code == 0, run.stdout

    done = desk.piped("/conducto/cmd.sh", "debug", run.id, "/")

    assert done.stdout == "hello you\n"


def _attempts(person: Person, pipeline: str, path: str) -> list[dict[str, Any]]:
    nodes = {node["path"]: node for node in person.read("show", pipeline)["nodes"]}
    found: list[dict[str, Any]] = nodes[path]["attempts"]
    return [each for each in found if each["ended"] is not None]
