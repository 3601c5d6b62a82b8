"""``conducto schedule``."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.transport import InProcessTransport

from conducto_client import Client
from conducto_core.api.dispatch import Service
from conducto_local.server.agent_operations import LOCAL_OPERATIONS
from unit.cli.trees import CountingPipelines

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def open_client(fake: CountingPipelines) -> Iterator[Callable[[], Client]]:
    """Makes clients of the fake, with its schedules."""
    service = Service(fake, fake.schedules, operations=LOCAL_OPERATIONS)
    with InProcessTransport(service) as transport:
        yield lambda: Client(transport)


@pytest.fixture
def add(conducto: Conducto) -> Conducto:
    """Adds the schedule ``nightly``, which launches a script of a repository."""
    source = ("--git", "https://example.com/a.git", "--command", "python p.py")
    return lambda *words: conducto("schedule", "add", "nightly", *source, *words)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with two scripts."""
    (tmp_path / "sub").mkdir()
    for file in ("p.py", "sub/p.py"):
        (tmp_path / file).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "stored"),
    [("./p.py", "{}/p.py"), ("sub/p.py", "{}/sub/p.py"), ("p.py", "p.py"), ("/x/p.py", "/x/p.py")],
)
def test_path_of_the_script_that_is_followed_is_absolute(
    file: str, stored: str, add: Conducto, directory: Path, capsys: Output
) -> None:
    assert add("--after-program", file) == 0

    assert f"nightly: after {stored.format(directory)} is done" in capsys.readouterr().out
