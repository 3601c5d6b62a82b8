"""`conducto agent repair`: the preview, the question and the exit code."""

from __future__ import annotations

import io
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from conducto.tree.launch_form import to_launch_form
from conducto.tree.nodes import Exec
from conducto_cli.main import main
from conducto_core.run.model.records import PipelineRecord
from conducto_core.tree.model import pack_form
from conducto_local.agent.state_dir import StateDir, open_state_dir
from conducto_local.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

Output = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDir:
    """Return a profile with one damaged pipeline."""
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO())  # not a terminal
    home = open_state_dir("test")
    home.make()
    with closing(SqliteStore.open(home.store)) as store:
        record = PipelineRecord(id="abc-abc", title="Load")
        store.create(record, pack_form(to_launch_form(Exec("true"))))
        home.make_pipeline("abc-abc").write_recovery(record, store.definition("abc-abc"))
    with closing(sqlite3.connect(home.store)) as connection, connection:
        connection.execute("UPDATE pipelines SET record=CAST(x'7bff' AS TEXT)")
    return home


def repair(*options: str) -> int:
    return main(["--profile", "test", "agent", "repair", *options])


def test_repair_shows_its_plan_and_changes_nothing_without_consent(
    home: StateDir, capsys: Output
) -> None:
    before = home.store.read_bytes()

    assert repair() == 2

    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "abc-abc: rebuilt",
        "1 rebuilt, 0 pipelines intact",
    ]
    assert "repeat it with --yes" in told.err
    assert home.store.read_bytes() == before


def test_accepted_repair_names_the_damaged_store(home: StateDir, capsys: Output) -> None:
    assert repair("--yes") == 0

    assert "the damaged store was moved to" in capsys.readouterr().out
    (moved,) = home.agent.glob("store.sqlite.damaged-*")
    assert str(moved.name).count("damaged") == 1
    with closing(SqliteStore.open(home.store)) as store:
        assert [record.title for record in store.records()] == ["Load"]

    assert repair() == 0  # asks nothing, because nothing is damaged
    assert capsys.readouterr().out == "0 rebuilt, 1 pipeline intact\n"
