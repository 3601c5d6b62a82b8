"""Names that come from a program reach no terminal raw, whichever command prints them."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterable

import pytest

import conducto as co
from conducto.wire.printable import printable, printable_lines, shell_word
from conducto_cli.app.registry import COMMANDS, RunSignature
from conducto_cli.launch.compile_command import run as compile_command
from conducto_cli.launch.plan_command import run as plan_command
from conducto_core.cache.model import CacheEntry
from conducto_core.run.model.records import ImageRecord, ImageState
from conducto_core.run.model.states import Cause, State
from support.cli_trees import CountingPipelines, record, view

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]

#: Sets the clipboard (OSC 52), clears the screen, rewrites the line, is a C1 CSI, turns the text.
EVIL = "x\x1b]52;c;aGk=\x07\x1b[2Jy\r\x9b31mz\u202ew"
#: Control characters but the end of a line, and those that direct text.
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
PATH = f"/{EVIL}"
#: ``{verb: command lines behind it}``; those of the last row print no name.
LINES: dict[str, list[list[str]]] = {
    "list": [["--tag", EVIL], []],
    "approvals": [[]],
    "show": [["abc", "--once"], ["abc", "--failed"], ["abc", PATH], ["abc", "--plain"]],
    "open": [["abc"], [f"{EVIL}no"]],
    "tree": [["abc"], ["abc", "--state", "failed"], ["abc", f"{PATH}no"]],
    "logs": [["abc", f"{PATH}no"], ["abc", PATH, "--attempt", "9"], ["abc", "--image", "no"]],
    "diff": [["abc", PATH], ["abc", PATH, "1", "9"]],
    "compare": [["abc", "abc"], [f"{EVIL}no", "abc"], ["abc", "hostile"]],
    "explain": [["abc"], ["abc", f"{PATH}no"], ["abc", "--markdown"]],
    "why": [["abc", PATH], ["abc", f"{PATH}no"]],
    "lineage": [["abc"], ["abc", PATH]],
    "patch": [["abc"]],
    "mcp": [["--allow", EVIL]],
    "export": [["abc", "--output", "/no/such/directory/report.html"]],
    "activity": [[]],
    "advice": [["abc"]],
    "tests": [
        ["abc"],
        [f"{EVIL}no"],
        ["abc", "--quarantine", EVIL, "--until", "1d", "--reason", EVIL],
    ],
    "coverage": [["abc"], [f"{EVIL}no"]],
    "partitions": [["abc"], [f"{EVIL}no"]],
    "backfill": [["abc", "--from", EVIL], [f"{EVIL}no", "--plan"]],
    "images": [["abc"], ["abc", "--log", f"{EVIL}no"]],
    "data": [["list", "abc"], ["rm", "abc", EVIL, "--yes"], ["get", "abc", EVIL, "-"]],
    "run": [["abc"]],
    "launch": [["abc", "--same-tree"], [f"{EVIL}no"]],
    "pause": [["abc"]],
    "cancel": [["abc"]],
    "rerun": [["abc", PATH], ["abc", "--failed", "--dry-run"], ["abc", f"{PATH}no"]],
    "reset": [["abc", PATH], ["abc", "--failed", "--dry-run"], ["abc", f"{PATH}no"]],
    "skip": [["abc", PATH]],
    "unskip": [["abc", PATH]],
    "kill": [["abc", "/"]],
    "approve": [["abc"], ["abc", PATH], ["abc", f"{PATH}no"]],
    "rebuild": [["abc", PATH]],
    "modify": [["abc", PATH, "--image", EVIL]],
    "metrics": [["abc"], [f"{EVIL}no"], ["abc", "--name", EVIL]],
    "sleep": [["abc"]],
    "wake": [["abc"]],
    "archive": [["abc"]],
    "delete": [["abc", "--yes"], [f"{EVIL}no", "--yes"], ["abc"]],
    "debug": [["abc", PATH, "--print"], ["abc", f"{PATH}no", "--print"]],
    "livedebug": [["abc", PATH, "--print"]],
    "notify": [["add", "ops", "--slack", EVIL, "--title", EVIL], ["list"], ["rm", EVIL, "--yes"]],
    "schedule": [
        ["list"],
        ["show", f"{EVIL}no"],
        ["add", EVIL, "--cron", EVIL, "--pipeline", "abc"],
    ],
    "trigger": [
        ["list"],
        ["add", EVIL, "--event", "webhook", "--pipeline", "abc", "--param", EVIL],
        ["add", "x", "--event", "webhook", "--pipeline", "abc", "--redact", EVIL],
        ["firings", f"{EVIL}no"],
    ],
    "secrets": [["list"]],
    "cache": [["list"], ["show", "aabbccdd"], ["delete", "aabbccdd", "--yes"], ["show", EVIL]],
    "dump-serialization": [["abc"]],
    "gc": [["--dry-run"]],
    "usage": [[], ["--month", "2026-01"]],
}


@pytest.fixture
def hostile(fake: CountingPipelines) -> CountingPipelines:
    """The fake with a pipeline every name of which is hostile; it has failed twice."""
    nodes = [
        view("/", "Serial", doc=EVIL, file=f"/{EVIL}.py"),
        view(PATH, command=EVIL, image=EVIL, doc=EVIL, file=f"/{EVIL}.py"),
        view(f"/{EVIL}2", "Parallel", waits_for=EVIL),
    ]
    named = record(title=EVIL, owner=EVIL, tags=(EVIL,), program=f"/{EVIL}", problem=EVIL)
    fake.add("abc-def", nodes, named)
    fake.set_image("abc-def", ImageRecord(name=EVIL, state=ImageState.ERROR, error=EVIL))
    source = {"pipeline": "abc-def", "path": PATH, "attempt": 1}
    given = {"key": "aabbccdd", "fields": {}, "source": source, "program": EVIL, "made": 1.0}
    fake.entries.kept["aabbccdd"] = CacheEntry.model_validate({**given, "private_to": EVIL})
    for output in (b"", EVIL.encode()):
        fake.change("abc-def", PATH, State.RUNNING)
        fake.write("abc-def", PATH, output, attempt=1 if output == b"" else 2)
        fake.change(
            "abc-def", PATH, State.ERROR, cause=Cause.EXIT_CODE, exit_code=3,
            message=EVIL, image=EVIL, container=EVIL, env={EVIL: EVIL + str(len(output))},
        )  # fmt: skip
    return fake


def raw(text: str) -> list[str]:
    return [line for line in text.split("\n") if RAW.search(line)]


@pytest.mark.parametrize("verb", [n for n, c in COMMANDS.items() if c.call is RunSignature.CLIENT])
def test_no_command_prints_a_name_raw(
    hostile: CountingPipelines, verb: str, conducto: Conducto, capsys: Output
) -> None:
    for words in LINES[verb]:
        conducto(verb, *words)
        printed = capsys.readouterr()
        assert (raw(printed.out), raw(printed.err)) == ([], []), words


def test_the_report_of_a_failure_has_commands_that_can_be_copied(
    hostile: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    conducto("show", "abc", "--plain")

    (line,) = [each for each in capsys.readouterr().out.split("\n") if "all of it:" in each]
    typed = line.partition("all of it: ")[2]
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {typed}"], check=True, capture_output=True
    ).stdout.decode().split("\0")  # fmt: skip
    assert words[:4] == ["conducto", "logs", "abc-def", PATH]


def test_the_printed_tree_shows_no_name_or_command_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    root = co.Serial()
    root[EVIL] = co.Exec(f"echo {EVIL}\nsecond")
    root[f"{EVIL}2"] = co.Parallel()

    printed = root.pretty()

    assert raw(printed) == []
    assert r"x\x1b]52;c;aGk=\x07" in printed
    assert r"\nsecond" in printed


@pytest.mark.parametrize("command", [plan_command, compile_command])
def test_script_error_is_printed_without_control_characters(
    command: Callable[[Iterable[str]], int], tmp_path: "pytest.TempPathFactory", capsys: Output
) -> None:
    script = f"{tmp_path}/p.py"
    with open(script, "w") as file:  # noqa: PTH123
        file.write(
            "import conducto as co\n"
            "def p() -> co.Serial:\n"
            "    root = co.Serial()\n"
            f"    root[{EVIL!r}] = co.Exec('true', cpu=-1)\n"
            "    return root\n"
        )

    assert command([script, "p"]) == 2

    assert raw(capsys.readouterr().err) == []


@pytest.mark.parametrize("text", [EVIL, "it's", "a b", "\\x1b\x1b'", "é\u2028"])
def test_a_word_for_a_shell_reads_back_as_it_was(text: str) -> None:
    word = shell_word(text)

    told = subprocess.run(["bash", "-c", f"printf %s {word}"], check=True, capture_output=True)
    assert told.stdout.decode() == text
    assert raw(word) == []


def test_lines_of_a_word_may_stay_as_they_are() -> None:
    assert shell_word("two\nlines", multiline=True) == "'two\nlines'"
    assert "\x1b" not in shell_word("two\nlines\x1b", multiline=True)


def test_plain_shell_word_is_quoted_like_shlex() -> None:
    assert shell_word("it's here") == shlex.quote("it's here")


def test_line_breaks_are_kept_and_escaping_twice_changes_nothing() -> None:
    assert printable_lines("a\x1b\nb") == "a\\x1b\nb"
    assert printable(printable(EVIL)) == printable(EVIL)
