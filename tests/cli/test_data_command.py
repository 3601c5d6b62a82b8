"""``conducto data``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(b"a,b\n\xff\n")
    return path


@pytest.mark.parametrize("whose", ["abc-def", "--user"])
def test_file_is_uploaded_and_downloaded(
    whose: str, file: Path, tmp_path: Path, conducto: Conducto, capsys: Output
) -> None:
    put = conducto("data", "put", whose, str(file))
    conducto("data", "list", whose, "--json")
    listed = json.loads(capsys.readouterr().out.partition("\n")[2])
    got = conducto("data", "get", whose, "table.csv", str(tmp_path / "copy"))

    assert (put, got) == (0, 0)
    assert [(entry["name"], entry["size"]) for entry in listed] == [("table.csv", 6)]
    assert (tmp_path / "copy").read_bytes() == b"a,b\n\xff\n"


def test_the_data_of_a_pipeline_and_of_the_user_are_apart(
    file: Path, conducto: Conducto, capsys: Output
) -> None:
    conducto("data", "put", "--user", str(file))
    capsys.readouterr()

    conducto("data", "list", "abc-def")

    assert capsys.readouterr().out == "no data\n"


def test_a_file_is_read_to_stdout(
    file: Path, conducto: Conducto, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    conducto("data", "put", "abc-def", str(file), "in/table")
    capfdbinary.readouterr()

    conducto("data", "get", "abc-def", "in/table", "-")

    assert capfdbinary.readouterr().out == b"a,b\n\xff\n"


def test_a_directory_is_listed_on_its_own(file: Path, conducto: Conducto, capsys: Output) -> None:
    conducto("data", "put", "abc-def", str(file), "in/table")
    capsys.readouterr()

    conducto("data", "list", "abc-def", "in")

    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == [
        "NAME",
        "in/table",
    ]


def test_removed_file_no_longer_exists(file: Path, conducto: Conducto, capsys: Output) -> None:
    conducto("data", "put", "abc-def", str(file))

    removed = conducto("data", "rm", "abc-def", "table.csv", "--yes")
    again = conducto("data", "rm", "abc-def", "table.csv", "--yes")

    assert (removed, again) == (0, 2)
    assert "deleted table.csv" in capsys.readouterr().out


def test_missing_file_creates_no_local_file(
    tmp_path: Path, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("data", "get", "abc-def", "nope", str(tmp_path / "nope"))

    assert code == 2
    assert not (tmp_path / "nope").exists()
    assert "nope" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["get", "abc-def"], "conducto data get ID NAME [FILE]"),
        (["list"], "conducto data list ID [DIR]"),
        (["put", "--user"], "conducto data put ID FILE [NAME]"),
        (["put", "abc-def", "-"], "stdin has no name"),
        (["put", "abc-def", "/no/such/file"], "/no/such/file: No such file or directory"),
    ],
)
def test_wrong_usage_shows_the_correct_usage(
    words: list[str], message: str, conducto: Conducto, capsys: Output
) -> None:
    code = conducto("data", *words)

    assert code == 2
    assert message in capsys.readouterr().err
