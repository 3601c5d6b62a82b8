"""``conducto export``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from conducto_cli.app.completion import candidates
from conducto_client import Client
from support.cli_trees import CountingPipelines

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_page_is_written_here_under_the_title_and_it_says_where(
    folder: Path, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("export", "abc")

    (file,) = folder.iterdir()
    assert code == 0
    assert file.suffix == ".html"
    assert file.read_text().startswith("<!doctype html>")
    assert capsys.readouterr().out == f"{file}: {file.stat().st_size:,} bytes\n"


def test_existing_file_is_overwritten_only_with_force(
    folder: Path, conducto: Conducto, capsys: Output
) -> None:
    (folder / "run.html").write_text("mine")

    refused = conducto("export", "abc", "-o", "run.html")

    assert refused == 2
    assert (folder / "run.html").read_text() == "mine"
    assert "run.html: file exists; --force" in capsys.readouterr().err
    assert conducto("export", "abc", "-o", "run.html", "--force") == 0
    assert "<!doctype" in (folder / "run.html").read_text()


def test_a_page_goes_to_stdout(
    folder: Path, conducto: Conducto, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code = conducto("export", "abc", "-o", "-")

    out = capfdbinary.readouterr().out
    assert code == 0
    assert out.startswith(b"<!doctype html>")
    assert out.endswith(b"</html>\n")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "abc", "-o", "no/such/run.html"), "No such file or directory"),
        (("export", "xyz"), "xyz"),
    ],
)
def test_failed_export_leaves_no_file(
    words: tuple[str, ...], said: str, folder: Path, conducto: Conducto, capsys: Output
) -> None:
    assert conducto(*words) == 2
    assert said in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_the_shell_completes_its_words(
    fake: CountingPipelines, open_client: Callable[[], Client]
) -> None:
    assert "abc-def" in candidates(["export", ""], lambda _: open_client())
    assert {"--output", "--force", "--cloud"} <= set(candidates(["export", "-"], lambda _: None))
