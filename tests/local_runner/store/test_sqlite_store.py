"""Properties of a store on a disk: it outlives its process, can be locked, damaged or full."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conducto_core.run.model.records import AttemptRecord, NodeChange, NodeState, PipelineRecord
from conducto_core.run.model.states import NodeType, State
from conducto_local.store.port import (
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreVersionError,
    WriteBatch,
)
from conducto_local.store.sqlite import SqliteStore
from support.limits import files_no_larger_than

RECORD = PipelineRecord(id="abc", title="Train")
LONG = "x" * 300

#: Opens the store and prints why it could not.
SECOND = """
    import sys
    from pathlib import Path
    from conducto_local.store.port import StoreLockedError
    from conducto_local.store.sqlite import SqliteStore
    try:
        SqliteStore.open(Path(sys.argv[1]))
    except StoreLockedError as error:
        print(error.pid, error)
    """


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


@contextmanager
def opened(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore.open(path)
    try:
        yield store
    finally:
        store.close()


def run_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def attempts(first: int, number: int) -> list[AttemptRecord]:
    return [
        AttemptRecord(path=f"/{i}", number=1, state=State.RUNNING, command=f"{i} {LONG}")
        for i in range(first, first + number)
    ]


def test_everything_is_there_after_reopening(path: Path) -> None:
    turn = WriteBatch(
        nodes=[NodeState(path="/a", state=State.DONE)],
        attempts=attempts(0, 1),
        changes=[NodeChange(seq=1, time=1.0, path="/a", type=NodeType.EXEC, state=State.DONE)],
    )
    with opened(path) as store:
        store.create(RECORD, b"tree")
        store.save("abc", turn)

    with opened(path) as store:
        assert store.records() == [RECORD]
        assert store.definition("abc") == b"tree"
        assert list(store.nodes("abc")) == turn.nodes
        assert list(store.attempts("abc")) == turn.attempts
        assert store.last_seq("abc") == 1


def test_texts_stored_after_reopening_do_not_mix_with_earlier_ones(path: Path) -> None:
    for first in (0, 1):
        with opened(path) as store:
            if first == 0:
                store.create(RECORD, b"tree")
            store.save("abc", WriteBatch(attempts=attempts(first, 1)))

    with opened(path) as store:
        assert list(store.attempts("abc")) == attempts(0, 2)


def test_a_command_that_reads_like_the_number_of_a_text_stays_itself(path: Path) -> None:
    numeral = AttemptRecord(path="/n", number=1, state=State.RUNNING, command="1", image="1")
    with opened(path) as store:
        store.create(RECORD, b"tree")

        store.save("abc", WriteBatch(attempts=[*attempts(0, 1), numeral]))

        assert list(store.attempts("abc", "/n")) == [numeral]


def test_a_text_that_attempts_share_is_stored_once(path: Path) -> None:
    turn = WriteBatch(
        attempts=[
            AttemptRecord(
                path=f"/{i}", number=1, state=State.RUNNING, command=LONG, env={"A": LONG}
            )
            for i in range(50)
        ]
    )
    with opened(path) as store:
        store.create(RECORD, b"tree")
        store.save("abc", turn)
        store.save("abc", turn)

    with sqlite3.connect(path) as reader:
        texts = reader.execute("SELECT count(*) FROM texts").fetchone()[0]
    reader.close()
    assert texts == 2


def test_saved_data_survives_the_death_of_the_process(path: Path) -> None:
    child = run_python(
        """
        import os, signal, sys
        from pathlib import Path
        from conducto_core.run.model.records import NodeState, PipelineRecord
        from conducto_local.store.port import WriteBatch
        from conducto_local.store.sqlite import SqliteStore
        store = SqliteStore.open(Path(sys.argv[1]))
        store.create(PipelineRecord(id="abc", title=""), b"tree")
        for i in range(100):
            store.save("abc", WriteBatch(nodes=[NodeState(path=f"/{i:03}", attempt=i)]))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        str(path),
    )
    child.communicate()

    with opened(path) as store:
        assert child.returncode == -signal.SIGKILL
        assert [node.attempt for node in store.nodes("abc")] == list(range(100))


def test_second_process_is_given_the_owner_of_the_store(path: Path) -> None:
    with opened(path):
        child = run_python(SECOND, str(path))
        said = child.communicate()[0]

    assert said.startswith(f"{os.getpid()} {path}.lock: the store is in use by process")
    assert "conducto agent stop" in said


def test_a_store_cannot_be_opened_twice_in_one_process(path: Path) -> None:
    with opened(path), pytest.raises(StoreLockedError):
        SqliteStore.open(path)


def test_a_closed_store_can_be_opened_again(path: Path) -> None:
    first = SqliteStore.open(path)
    first.close()
    first.close()

    with opened(path) as second:
        assert second.records() == []


def test_closed_store_raises_an_error(path: Path) -> None:
    store = SqliteStore.open(path)
    store.close()

    with pytest.raises(StoreError, match="closed"):
        store.records()


def test_files_are_private(path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(path) as store:
            store.create(RECORD, b"tree")

            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {0o600}


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/s\.sqlite: cannot be opened: No such file"):
        SqliteStore.open(tmp_path / "nowhere" / "s.sqlite")


def test_the_schema_is_in_the_first_page_alone(path: Path) -> None:
    SqliteStore.open(path).close()

    leaf_of_a_table = 13  # the file format of SQLite, "B-tree Pages"
    assert path.read_bytes()[100] == leaf_of_a_table


def test_a_damaged_file_is_not_taken_for_a_store(path: Path) -> None:
    path.write_bytes(b"not a database, " * 400)

    with pytest.raises(StoreError, match="the file is damaged"):
        SqliteStore.open(path)


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()

    with pytest.raises(StoreVersionError, match="not a Conducto store"):
        SqliteStore.open(path)

    assert path.read_bytes() == before


def test_failed_opening_does_not_block_the_next(path: Path) -> None:
    path.write_bytes(b"not a database, " * 400)
    with pytest.raises(StoreError):
        SqliteStore.open(path)
    path.unlink()

    with opened(path) as store:
        assert store.records() == []


def test_full_disk_is_reported_clearly(path: Path) -> None:
    with opened(path) as store:
        store.create(RECORD, b"tree")

        with files_no_larger_than(256 << 10), pytest.raises(StoreFullError) as caught:
            store.save("abc", WriteBatch(attempts=attempts(0, 5000)))

    assert "the disk is full or over its quota" in str(caught.value)
    assert "free some space" in str(caught.value)


def test_room_is_checked_without_a_change(path: Path) -> None:
    with opened(path) as store:
        store.check_room()
        with files_no_larger_than(256 << 10), pytest.raises(StoreFullError, match="free some spac"):
            store.check_room()

    left = sorted(each.name.removeprefix(path.name) for each in path.parent.iterdir())
    assert left == ["", ".lock", ".reserve"]


def test_a_turn_that_the_disk_did_not_take_leaves_nothing(path: Path) -> None:
    with opened(path) as store:
        store.create(RECORD, b"tree")
        store.save("abc", WriteBatch(attempts=attempts(0, 10)))

        with files_no_larger_than(256 << 10), pytest.raises(StoreFullError):
            store.save("abc", WriteBatch(attempts=attempts(10, 5000)))

        assert sorted(each.path for each in store.attempts("abc")) == [f"/{i}" for i in range(10)]


def test_a_turn_can_be_saved_again_once_there_is_room(path: Path) -> None:
    turn = WriteBatch(attempts=attempts(0, 5000))
    with opened(path) as store:
        store.create(RECORD, b"tree")
        with files_no_larger_than(256 << 10), pytest.raises(StoreFullError):
            store.save("abc", turn)

        store.save("abc", turn)

    with opened(path) as store:
        found = {each.path: each for each in store.attempts("abc")}
    assert found == {each.path: each for each in turn.attempts}


def test_a_store_that_met_a_full_disk_is_sound(path: Path) -> None:
    with opened(path) as store:
        store.create(RECORD, b"tree")
        for first in range(0, 5000, 500):
            try:
                with files_no_larger_than(1 << 20):
                    store.save("abc", WriteBatch(attempts=attempts(first, 500)))
            except StoreFullError:
                break
        else:
            pytest.fail("the limit was never met")

    reader = sqlite3.connect(path)
    decision = reader.execute("PRAGMA integrity_check").fetchall()
    reader.close()
    assert decision == [("ok",)]


def test_the_space_of_a_deleted_pipeline_is_given_back(path: Path) -> None:
    with opened(path) as store:
        store.create(RECORD, b"t" * (4 << 20))
        store.delete("abc")

    assert path.stat().st_size < 200 << 10
