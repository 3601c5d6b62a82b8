"""Completion: the valid next words, and bash itself with the script loaded."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from conducto_cli.app.completion import complete_words
from conducto_client import Client
from conducto_core.run.model.records import ImageRecord
from conducto_core.run.model.states import State
from support.cli_trees import CountingPipelines, record, view

Complete = Callable[..., list[str]]
IDS = ["@failed", "@last", "abc-def", "abq-ttt", "xyz-aaa", "xyz-bbb"]


@pytest.fixture
def complete(
    fake: CountingPipelines,
    open_client: Callable[[], Client],
    capsys: pytest.CaptureFixture[str],
) -> Complete:
    """Returns the candidates for a line of bash, the command in front."""
    fake.add("xyz-aaa", [view("/", "Serial")], record("xyz-aaa", title="Nightly build"))
    fake.add("xyz-bbb", [view("/", "Serial")], record("xyz-bbb"))
    fake.add(
        "abq-ttt",
        [view("/", "Serial"), view("/a b"), view("/x:y"), view("/x:z")],
        record("abq-ttt"),
    )

    def candidates(line: str) -> list[str]:
        complete_words(["--line", line], lambda _profile: open_client())
        return capsys.readouterr().out.splitlines()

    return candidates


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("conducto res", ["reset", "result"]),
        ("conducto li", ["lineage", "list", "livedebug"]),
        ("conducto reset --wa", ["--watch"]),
        ("conducto list --state r", ["running"]),
        ("conducto list --state=", []),
        ("conducto data g", ["get"]),
        ("conducto data get ", IDS),
        ("conducto logs @l", ["last"]),
        ("conducto logs @last /a", ["/a\\ b"]),
        ("conducto logs 'Night", ["Nightly build"]),
        ("conducto logs demo", []),
        ("conducto plan --w", ["--workers"]),
        ("conducto compile --s", ["--svg"]),
        ("conducto completion ", ["bash", "fish", "zsh"]),
        ("conducto show ", IDS),
        ("conducto --profile p show abc", ["abc-def"]),
        ("conducto reset abc-def ", ["/build", "/tests/"]),
        ("conducto reset abc-def /te", ["/tests/"]),
        ("conducto reset abc-def /tests/", ["/tests/login", "/tests/logout"]),
        ("conducto reset abc-def /build /tests/logi", ["/tests/login"]),
        ("conducto reset abc-def --dry-run tests/logo", ["tests/logout"]),
        ("conducto logs abc-def /build /t", []),
        ("conducto diff abc /b", ["/build"]),
        ("conducto reset abq /a", ["/a\\ b"]),
        ("conducto reset abq '/a", ["/a b"]),
        ("conducto reset abq /x:", ["y", "z"]),
        ("conducto reset nope /", []),
        ("conducto reset abc-def /nope/", []),
        ("conducto bogus ", []),
        ("conducto 'reset", ["reset"]),
    ],
)
def test_completion_offers_the_valid_next_words(
    line: str, found: list[str], complete: Complete
) -> None:
    assert complete(line) == found


def test_names_of_images(fake: CountingPipelines, complete: Complete) -> None:
    fake.set_image("abc-def", ImageRecord(name="app"), "")

    assert complete("conducto logs abc-def --image ") == ["app"]
    assert complete("conducto images abc-def --log ") == ["app"]


def test_a_name_that_could_act_on_the_terminal_is_left_out(
    fake: CountingPipelines, complete: Complete
) -> None:
    fake.add("evil", [view("/", "Serial"), view("/a\x1b[2Jb"), view("/ok")], record("evil"))

    assert complete("conducto reset evil /") == ["/ok"]


def test_without_an_agent_there_are_no_ids_and_none_is_started(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = complete_words(["--line", "conducto show "], lambda _profile: None)

    assert (code, capsys.readouterr().out) == (0, "")


@pytest.fixture
def execution_context(tmp_path: Path) -> dict[str, str]:
    """Variables of a shell in which ``conducto`` is this checkout's, with a home of its own."""
    entry = "import sys; from conducto.tools.entry import main; sys.exit(main())"
    command = tmp_path / "bin" / "conducto"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c "{entry}" "$@"\n')
    command.chmod(0o755)
    return {
        "PATH": f"{command.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "CONDUCTO_BASE_DIR": str(tmp_path / "home"),
        "PYTHONPATH": ":".join(filter(None, sys.path)),
        "TERM": "dumb",
        "PS1": "> ",
    }


def test_the_function_of_bash_gives_the_candidates(execution_context: dict[str, str]) -> None:
    script = """
        source <(conducto completion bash)
        for line in "conducto res" "conducto tree abc --de" "conducto show "; do
            COMP_LINE=$line COMP_POINT=${#line}
            _conducto
            echo "${#COMPREPLY[@]} ${COMPREPLY[*]}"
        done
    """

    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=execution_context,
    )

    assert (done.stdout.splitlines(), done.stderr) == (["2 reset result", "1 --depth", "0 "], "")
    assert not list(Path(execution_context["HOME"]).glob("home/**/*agent*"))


@pytest.mark.parametrize(
    ("program", "words"), [("bash", ["--norc", "--noprofile"]), ("zsh", ["-f", "-i"])]
)
def test_the_tab_key_completes(
    program: str, words: list[str], execution_context: dict[str, str]
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    shell = pexpect.spawn(program, words, env=execution_context, encoding="utf-8", timeout=20)
    shell.sendline(f"source <(conducto completion {program}); echo re''ady")
    shell.expect("ready")

    shell.send("conducto comple\t")
    shell.expect(r"tion\b")
    shell.send("b\t")
    shell.expect(r"ash\b")

    shell.sendcontrol("c")
    shell.close(force=True)


def test_fish_completes(execution_context: dict[str, str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")

    script = (
        'conducto completion fish | source; complete -C "conducto res"; '
        'complete -C "conducto list --state er"'
    )

    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=execution_context,
    )

    assert done.stdout.split() == ["reset", "result", "error"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(
    shell: str, conducto: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    code = conducto("completion", shell)

    assert code == 0
    assert "conducto complete-words" in capsys.readouterr().out


def test_counts_of_states_are_the_choices_of_the_filter(complete: Complete) -> None:
    assert complete("conducto list --state ") == sorted(state.value for state in State)
