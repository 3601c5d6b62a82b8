"""``conducto schedule``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.transport import InProcessTransport

from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_local.server.agent_operations import LOCAL_OPERATIONS
from support.cli_trees import CountingPipelines

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]
SOURCE = ("--git", "https://example.com/a.git", "--command", "python p.py")
DAILY = ("--cron", "@daily")


@pytest.fixture
def open_client(fake: CountingPipelines) -> Iterator[Callable[[], Client]]:
    """Makes clients of the fake, with its schedules."""
    service = Service(fake, fake.schedules, operations=LOCAL_OPERATIONS)
    with InProcessTransport(service) as transport:
        yield lambda: Client(transport)


@pytest.fixture
def add(conducto: Conducto) -> Conducto:
    """Adds the schedule ``nightly``, which launches a script of a repository."""
    return lambda *words: conducto("schedule", "add", "nightly", *SOURCE, *words)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with two scripts."""
    (tmp_path / "sub").mkdir()
    for file in ("p.py", "sub/p.py"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give a schedule a time with --cron, or pipelines to follow with --after"),
        ((*DAILY, "--after", "Load"), "give only one of --cron and --after:"),
        ((*DAILY, "--after-program", "p.py"), "give only one of --cron and --after-program:"),
        ((*DAILY, "--window", "50d"), "argument --window: must be from 1m to 31d, got '50d'"),
        ((*DAILY, "--jitter", "20h"), "argument --jitter: must be from 1s to 12h, got '20h'"),
    ],
)
def test_wrong_option_is_named(
    words: tuple[str, ...], message: str, add: Conducto, capsys: Output
) -> None:
    assert add(*words) == 2

    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a b", "x" * 65])
def test_invalid_name_is_refused_with_the_rule(
    name: str, conducto: Conducto, capsys: Output
) -> None:
    assert conducto("schedule", "add", name, *SOURCE, *DAILY) == 2

    assert "name: write at most 64 letters, digits, '.', '_' and '-'" in capsys.readouterr().err


def test_schedule_that_exists_is_changed_with_replace(add: Conducto, capsys: Output) -> None:
    assert add(*DAILY) == 0
    assert add(*DAILY) == 2
    assert add(*DAILY, "--replace") == 0

    assert "change that one with --replace" in capsys.readouterr().err


def test_schedule_is_shown_with_all_its_rules(
    add: Conducto, conducto: Conducto, capsys: Output
) -> None:
    rules = ("--jitter", "1s", "--pause-after", "1", "--window", "90m", "--title", "Nightly build")
    add(*DAILY, *rules, "--until", "2095-01-31T18:00")
    capsys.readouterr()

    conducto("schedule", "show", "nightly")

    assert capsys.readouterr().out.splitlines()[2:7] == [
        "  overlap skip, catch-up last, window 90 minutes",
        "  title Nightly build",
        "  delayed by up to 1 second",
        "  pauses after 1 failure in a row",
        "  until Mon 2095-01-31 18:00",
    ]


def test_rules_without_an_effect_are_not_shown(add: Conducto, capsys: Output) -> None:
    add(*DAILY, "--catch-up", "none")

    shown = capsys.readouterr().out.splitlines()
    assert shown[2] == "  overlap skip, catch-up none"
    assert shown[3].startswith("  next: ")


@pytest.mark.parametrize(
    ("file", "stored"),
    [("./p.py", "{}/p.py"), ("sub/p.py", "{}/sub/p.py"), ("p.py", "p.py"), ("/x/p.py", "/x/p.py")],
)
def test_path_of_the_script_that_is_followed_is_absolute(
    file: str, stored: str, add: Conducto, directory: Path, capsys: Output
) -> None:
    assert add("--after-program", file) == 0

    assert f"nightly: after {stored.format(directory)} is done" in capsys.readouterr().out
