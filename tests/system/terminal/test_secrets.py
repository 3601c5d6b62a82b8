"""``conducto secrets``: values come from a prompt, stdin or a variable, and are never printed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from conducto_core.secrets.port import SecretName, StoredSecret
from support.cli_trees import CountingPipelines

PROGRAM = Path(__file__).with_name("keep_secrets.py")
TESTS = Path(__file__).parents[2]
VALUE = "very-secret"

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@dataclass
class Ran:
    """A command that has ended.

    Attributes:
        kept: ``{name: value}`` that it stored.
    """

    code: int
    out: str
    err: str
    kept: dict[str, str]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path}


@pytest.fixture
def piped(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command with ``stdin``."""

    def run(*words: str, stdin: bytes) -> Ran:
        done = subprocess.run(
            [sys.executable, PROGRAM, tmp_path / "kept", *words],
            input=stdin,
            capture_output=True,
            env=environment(),
            check=False,
        )
        kept = json.loads((tmp_path / "kept").read_text())
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode(), kept)

    return run


@pytest.mark.parametrize(
    ("stdin", "value"),
    [
        (b"very-secret\n", "very-secret"),
        (b"very-secret\r\n", "very-secret"),
        (b" very-secret ", " very-secret "),
        (b"two\nlines\n", "two\nlines\n"),
    ],
)
def test_a_value_is_read_from_stdin(piped: Callable[..., Ran], stdin: bytes, value: str) -> None:
    ran = piped("secrets", "set", "A", stdin=stdin)

    assert (ran.code, ran.kept) == (0, {"A": value})
    assert ran.out == "A is set, in memory; commands that start from now on see it\n"
    assert ran.err == ""


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        (b"", "A: the value is empty"),
        (b"\n", "A: the value is empty"),
        (b"very\0secret", "A: the value holds a NUL character"),
        (b"very\xffsecret", "A: stdin is not UTF-8 text"),
        (b"very-secret" * 10000, "A: the value has 65538 bytes"),
    ],
)
def test_invalid_value_is_reported(piped: Callable[..., Ran], stdin: bytes, said: str) -> None:
    ran = piped("secrets", "set", "A", stdin=stdin)

    assert (ran.code, ran.kept, ran.out) == (2, {}, "")
    assert ran.err.startswith(f"conducto: secret {said}") or ran.err.startswith(f"conducto: {said}")
    assert "very" not in ran.err


def test_at_a_terminal_the_value_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    words = [str(PROGRAM), str(tmp_path / "kept"), "secrets", "set", "A"]
    child = pexpect.spawn(sys.executable, words, env=environment(), timeout=20)
    child.expect_exact("value of A (not shown): ")

    child.sendline(VALUE)
    child.expect(pexpect.EOF)
    child.close()

    assert child.exitstatus == 0
    assert json.loads((tmp_path / "kept").read_text()) == {"A": VALUE}
    assert b"A is set" in child.before
    assert VALUE.encode() not in child.before


def test_a_value_is_taken_from_a_variable(
    conducto: Conducto, fake: CountingPipelines, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    monkeypatch.setenv("THE_TOKEN", VALUE)

    code = conducto("secrets", "set", "A", "--from-env", "THE_TOKEN", "--org", "--no-mask")

    (kept,) = fake.secret_store.read().values()
    assert code == 0
    assert (kept.name, kept.value, kept.mask) == (SecretName("org", "A"), VALUE, False)
    assert "kept on this machine only" in capsys.readouterr().err


def test_missing_variable_is_reported(conducto: Conducto, capsys: Output) -> None:
    code = conducto("secrets", "set", "A", "--from-env", "NO_SUCH_VARIABLE")

    assert code == 2
    assert "A: there is no such environment variable" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "set A=sesame",
        "set A sesame",
        "set A - sesame",
        "set A -- -sesame",
        "set A -sesame",
        "set A --sesame",
        "set A --value=sesame",
        "set A --value sesame",
        "set -sesame A",
        "set --fro=sesame A",
        "set A --org=sesame",
        "set A --json=sesame",
        "set A --no-mask=sesame",
        "set A --from-env sesame",
        "set A --from-env --sesame",
        "set open-sesame --from-env PATH",
        "set",
        "sesame",
        "sett A=sesame",
        "--sesame set A",
        "list sesame",
        "list --sesame",
        "delete A=sesame",
        "delete A -sesame",
        "delete A --org=sesame",
    ],
)
def test_misplaced_value_is_rejected_and_not_repeated(
    conducto: Conducto, capsys: Output, fake: CountingPipelines, line: str
) -> None:
    code = conducto("secrets", *line.split())

    said = capsys.readouterr()
    assert (code, said.out, fake.secret_store.read()) == (2, "", {})
    assert "sesame" not in said.err
    assert said.err.strip()


@pytest.mark.parametrize("words", [["--sesame"], ["--value=sesame"], ["--value", "sesame"]])
def test_value_before_the_command_is_not_repeated(
    conducto: Conducto, capsys: Output, words: list[str]
) -> None:
    assert conducto(*words, "secrets", "set", "A") == 2
    assert "sesame" not in capsys.readouterr().err


@pytest.mark.parametrize("line", ["A=sesame", "A sesame", "A -sesame", "A --value=sesame"])
def test_value_on_the_command_line_is_rejected_with_the_remedy(
    conducto: Conducto, capsys: Output, line: str
) -> None:
    conducto("secrets", "set", *line.split())

    assert "Give the name alone: a value on the command line is seen" in capsys.readouterr().err


def test_missing_and_conflicting_arguments_are_reported(conducto: Conducto, capsys: Output) -> None:
    conducto("secrets", "set", "--from-env")
    conducto("secrets", "set", "A", "--cloud", "--local")

    said = capsys.readouterr().err
    assert "argument --from-env: expected one argument" in said
    assert "argument --local: not allowed with argument --cloud" in said


@pytest.mark.parametrize("name", ["A B", "CONDUCTO_A", "1A"])
def test_invalid_name_is_reported_before_the_value_is_requested(
    conducto: Conducto, capsys: Output, name: str
) -> None:
    code = conducto("secrets", "set", name)

    said = capsys.readouterr().err
    assert code == 2
    assert "the given name cannot be the name of a secret: " in said
    assert name not in said


def test_value_that_is_too_short_to_be_masked_is_reported(piped: Callable[..., Ran]) -> None:
    ran = piped("secrets", "set", "PIN", stdin=b"123")

    assert ran.code == 0
    assert "PIN is shorter than 4 characters: it is not masked" in ran.err


@pytest.fixture
def three(fake: CountingPipelines) -> CountingPipelines:
    """The fake with three secrets."""
    names = [SecretName("user", "TOKEN"), SecretName("org", "TOKEN"), SecretName("user", "PIN")]
    values = [VALUE, VALUE, "123"]
    fake.secret_store.put(map(StoredSecret, names, values, [True, False, True], [1.0] * 3))
    return fake


def test_secrets_are_listed_without_values(
    three: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("secrets", "list")

    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert rows[0] == ["NAME", "SET", "SCOPE", "MASKED", "STORED"]
    assert [row[:4] for row in rows[1:4]] == [
        ["TOKEN", "-", "org", "no"],
        ["PIN", "-", "user", "no:"],
        ["TOKEN", "-", "user", "yes"],
    ]
    assert out.endswith("values are in memory\n")
    assert VALUE not in out


def test_without_secrets_the_list_says_how_to_store_one(conducto: Conducto, capsys: Output) -> None:
    code = conducto("secrets", "list")

    assert code == 0
    assert capsys.readouterr().out == "no secrets yet; store one: conducto secrets set NAME\n"


def test_the_list_has_a_stable_machine_readable_shape(
    three: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    conducto("secrets", "list", "--json")

    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"secrets", "changed", "notes", "kept"}
    assert document["secrets"][1] == {
        "scope": "user",
        "secret_set": "",
        "key": "PIN",
        "mask": True,
        "masked": False,
        "updated": 1.0,
        "reference": None,
    }


def test_a_secret_is_deleted_in_its_scope_only(
    three: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("secrets", "delete", "TOKEN", "--org", "--yes")

    assert code == 0
    assert [name.scope for name in three.secret_store.read()] == ["user", "user"]
    assert capsys.readouterr().out.startswith("TOKEN is deleted")


def test_deleting_a_missing_secret_suggests_the_nearest(
    three: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("secrets", "delete", "TOKN", "PIN", "--yes")

    said = capsys.readouterr()
    assert code == 1
    assert "PIN is deleted" in said.out
    assert "no secret 'TOKN' of scope user; did you mean 'TOKEN'?" in said.err


def test_missing_subcommand_shows_the_usage(conducto: Conducto, capsys: Output) -> None:
    code = conducto("secrets")

    assert code == 2
    assert "list|set|delete" in capsys.readouterr().err
