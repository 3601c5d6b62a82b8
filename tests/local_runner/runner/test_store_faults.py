"""Damage at many places of a real store: the agent continues, and a repair makes nothing worse."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto_core.errors import RefusedError
from conducto_core.notifications.model import NotificationChannel, NotificationRule, RuleList
from conducto_core.run.model.params import ListParams
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Action
from conducto_core.run.views import stored_summary
from conducto_core.schedules.model import Firing, FiringCause, FiringState, Schedule, ScriptSource
from conducto_core.schedules.rules import schedules as rules
from conducto_core.tree.model import unpack_form
from conducto_local.agent.repair import RepairReport, repair
from conducto_local.agent.state_dir import StateDir
from conducto_local.notifications.store import RulesFile
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.store.port import DamagedError, StoreError
from conducto_local.store.schema import MIGRATIONS, OWNED
from conducto_local.store.sqlite import SqliteStore
from support.local import Local, Run, local_runner

PAGE = 4096
NAMES = ("nightly", "weekly")
RULE = NotificationRule(name="failures", channel=NotificationChannel.SLACK, to="#builds")


def tree(size: int) -> co.Node:
    root = co.Parallel()
    for number in range(size):
        long = "x" * 70  # stored once for all attempts
        root[f"node{number:02}"] = co.Exec(f"echo {number} {long}", env={"LONG": "v" * 80})
    root["fails"] = co.Exec("echo no; exit 3")
    root["silent"] = co.Exec("true")
    root["skipped"] = co.Exec("false", skip=True)
    return root


async def fill(home: StateDir) -> None:
    """Run pipelines and add schedules, firings and rules in a profile."""
    async with local_runner(home.base, "process") as local:
        for size in (8, 2, 20):
            await local.run(tree(size))
    RulesFile(home.notification_rules).put(RULE)
    with closing(SqliteStore.open(home.store)) as store:
        for name in NAMES:
            schedule = Schedule(
                name=name,
                cron="30 2 * * 1-5",
                what=ScriptSource(kind="script", command=("python", "p.py"), directory="/x"),
                title="Grüße",
            )
            assert store.schedules.create("", rules.started(schedule, 1e9), b"template")
            for due in range(5):
                firing = Firing(
                    id=rules.firing_id(due),
                    due=due,
                    cause=FiringCause.SCHEDULE,
                    state=FiringState.LAUNCHED if due else FiringState.MISSED,
                )
                store.schedules.put_firing("", name, firing)


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> StateDir:
    home = StateDir(tmp_path_factory.mktemp("intact"), "test")
    asyncio.run(fill(home))
    return home


@pytest.fixture
def home(intact: StateDir, tmp_path: Path) -> StateDir:
    return copied(intact, tmp_path / "home")


def copied(home: StateDir, base: Path) -> StateDir:
    shutil.copytree(home.base, base)
    return StateDir(base, home.profile)


Contents = dict[Any, Any]


def contents(path: Path, directory: Path) -> Contents:
    """Return the parts of a store that can be read, by pipeline and name; read a copy."""
    copy = directory / "read.sqlite"
    shutil.copyfile(path, copy)
    found: Contents = {}
    with suppress(StoreError), closing(SqliteStore.open(copy)) as store:
        for name in NAMES:
            with suppress(RefusedError, StoreError):  # if its record is damaged
                schedule = store.schedules.get("", name)  # found by the name of its row
                if schedule is not None:
                    found["schedule", name] = schedule.model_copy(update={"name": name})
            with suppress(ValueError, StoreError):
                found["firings", name] = {f.id: f for f in store.schedules.firings("", name)}
        for record in store.records():
            readers: dict[str, Callable[[str], Any]] = {
                "nodes": lambda p: {node.path: node for node in store.nodes(p)},
                "attempts": lambda p: {(a.path, a.number): a for a in store.attempts(p)},
                "changes": lambda p: {
                    c.model_copy(update={"seq": 0}) for c in store.changes(p, 0, 999)
                },
                "images": lambda p: {image.name: image for image in store.images(p)},
                "definition": lambda p: unpack_form(store.definition(p)),
                "tree": lambda p, r=record: states(store, r),  # type: ignore[misc]
            }
            kept = {"armed", "problem", "status", "touched", "run_at"}
            found[record.id, "record"] = record.model_dump(exclude=kept)
            for part, read in readers.items():
                with suppress(Exception):
                    found[record.id, part] = read(record.id)
    return found


def states(store: SqliteStore, record: PipelineRecord) -> dict[str, tuple[Any, ...]]:
    nodes = pipeline_loader.load(store, record).tree.nodes
    return {path: (node.state, node.skipped, node.attempt) for path, node in nodes.items()}


def lost(before: Contents, after: Contents) -> list[Any]:
    """Return the parts that could be read before, and are another now."""
    return [key for key, value in before.items() if not contains(after.get(key), value)]


def contains(now: Any, before: Any) -> bool:
    if isinstance(now, dict) and isinstance(before, dict):
        return all(
            now.get(key) == value or (key in now and value == rules.damaged_firing(str(key)))
            for key, value in before.items()
        )
    if isinstance(now, set) and isinstance(before, set):
        return before <= now
    return bool(now == before)


def check_repair(home: StateDir, intact: Contents, scratch: Path) -> RepairReport:
    """Repair a damaged store, and check the promises of a repair."""
    damaged = home.store.read_bytes()
    before = contents(home.store, scratch)
    report = repair(home, now=lambda: 1e9)
    after = contents(home.store, scratch)

    trees = {key for key in intact if key[1] == "tree"}
    worse = lost({key: value for key, value in before.items() if key not in trees}, after)
    # One event may have the number of another one; then the report names the loss.
    reported = {one.id for one in report.repaired if any("events" in part for part in one.lost)}
    worse = [
        (owner, part)
        for owner, part in worse
        if part != "changes"
        or owner not in reported
        or len(before[owner, part] - after[owner, part]) > 1
    ]
    assert worse == [], "the repair made something worse"
    # A damaged value may be a valid one; then it is as it was.
    wrong = [key for key in trees if after.get(key) not in (intact[key], before.get(key))]
    assert wrong == [], "a state was lost that other parts of the store show"
    for name in NAMES:
        found = after.get(("schedule", name))
        is_same = found in (intact["schedule", name], before.get(("schedule", name)))
        assert is_same or f"schedule {name}" in report.left or (found and found.paused)
    assert (home.store if report.moved is None else report.moved).read_bytes() == damaged
    repaired = home.store.read_bytes()
    assert not repair(home, now=lambda: 2e9).needs_repair()
    assert home.store.read_bytes() == repaired
    return report


def positions(path: Path, stride: int) -> Iterator[int]:
    """Yield positions in each page: its header, and bytes that are used, evenly spread."""
    content = path.read_bytes()
    for start in range(0, len(content), PAGE):
        header = start + (100 if start == 0 else 0)
        yield from (header, header + 4)
        used = [at for at in range(start, start + PAGE) if content[at]]
        yield from used[stride // 2 :: stride]


def check_damage(
    intact: StateDir, directory: Path, damages: Iterable[tuple[object, Callable[[bytearray], None]]]
) -> None:
    """Check the repair of each damage; the error names the damage."""
    scratch = directory / "scratch"
    scratch.mkdir()
    expected = contents(intact.store, scratch)
    for name, damage in damages:
        home = copied(intact, directory / "home")
        content = bytearray(home.store.read_bytes())
        damage(content)
        home.store.write_bytes(content)
        try:
            check_repair(home, expected, scratch)
        except Exception as error:
            error.add_note(f"damage: {name}")
            raise
        shutil.rmtree(home.base)


def replaced(at: int, value: int) -> tuple[object, Callable[[bytearray], None]]:
    def damage(content: bytearray) -> None:
        content[at] = value

    return (at, value), damage


@pytest.mark.parametrize("stride", [2500, pytest.param(250, marks=pytest.mark.long)])
def test_one_invalid_byte_anywhere_makes_nothing_worse(
    intact: StateDir, tmp_path: Path, stride: int
) -> None:
    check_damage(intact, tmp_path, (replaced(at, 0xFF) for at in positions(intact.store, stride)))


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_every_byte_of_the_header_may_be_damaged(
    intact: StateDir, tmp_path: Path, step: int
) -> None:
    check_damage(intact, tmp_path, (replaced(at, 0xFF) for at in range(0, 100, step)))


def test_a_lost_page_makes_nothing_worse(intact: StateDir, tmp_path: Path) -> None:
    pages = range(intact.store.stat().st_size // PAGE)

    def damage(page: int) -> Callable[[bytearray], None]:
        def zero(content: bytearray) -> None:
            content[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)

        return zero

    check_damage(intact, tmp_path, ((page, damage(page)) for page in pages))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["byte", "bit", "block"])
@pytest.mark.parametrize("seed", range(4))
def test_random_damage_makes_nothing_worse(
    intact: StateDir, tmp_path: Path, kind: str, seed: int
) -> None:
    dice = random.Random(f"{kind}{seed}")
    used = [at for at, byte in enumerate(intact.store.read_bytes()) if byte]

    def damage(content: bytearray) -> None:
        at = dice.choice(used)
        match kind:
            case "byte":
                content[at] = dice.choice((0xFF, 0x80, 0))
            case "bit":
                content[at] ^= 1 << dice.randrange(8)
            case _:
                content[at : at + 200] = dice.randbytes(len(content[at : at + 200]))

    check_damage(intact, tmp_path, ((number, damage) for number in range(150)))


@pytest.mark.parametrize("pages", [1, 2.5, 12, 20.3])
def test_a_truncated_store_is_repaired_once(intact: StateDir, tmp_path: Path, pages: float) -> None:
    """The lost pages have the states; output of which only the file is left counts as unknown."""
    home = copied(intact, tmp_path / "home")
    content = home.store.read_bytes()[: int(pages * PAGE)]
    home.store.write_bytes(content)
    before = contents(home.store, tmp_path)

    report = repair(home, now=lambda: 1e9)

    after = contents(home.store, tmp_path)
    assert lost({key: value for key, value in before.items() if key[1] != "tree"}, after) == []
    assert report.moved is not None
    assert report.moved.read_bytes() == content
    repaired = home.store.read_bytes()
    assert not repair(home).needs_repair()
    assert home.store.read_bytes() == repaired
    assert len([key for key in after if key[1] == "tree"]) == 3


def text_columns() -> list[tuple[str, str]]:
    """Return the columns with text in the tables that have rows of every pipeline."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        return [
            (table, column)
            for table in ("pipelines", *OWNED)
            if table not in ("edits", "plans", "notifications")
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})")
            if kind in ("TEXT", "BLOB")
        ]


@pytest.mark.parametrize(("table", "column"), text_columns())
def test_one_invalid_byte_in_a_column_sets_one_pipeline_aside(
    home: StateDir, intact: StateDir, tmp_path: Path, table: str, column: str
) -> None:
    expected = contents(intact.store, tmp_path)
    one, *others = pipeline_ids(intact)
    text = f"CAST(coalesce(nullif({column}, ''), 'none') AS BLOB)"
    damaged = f"CAST(substr({text}, 1, 2) || x'ff' || substr({text}, 4) AS TEXT)"
    key = "number" if table == "pipelines" else "pipeline"
    assert execute(home, f"UPDATE OR IGNORE {table} SET {column}={damaged} WHERE {key}=1")

    with closing(SqliteStore.open(home.store)) as store:
        listed = {record.id: record for record in store.records()}
        assert listed.keys() | store.damaged().keys() == {one, *others}
        for other in others:
            assert states(store, listed[other]) == expected[other, "tree"]
            assert list(store.attempts(other)) == list(expected[other, "attempts"].values())
        with suppress(Exception):  # the agent sets it aside
            states(store, listed.get(one, PipelineRecord(id=one, title="")))

    report = check_repair(home, expected, tmp_path)

    assert [each.id for each in report.repaired] == [one]
    assert report.intact == len(others)


def execute(home: StateDir, statement: str, *values: object) -> int:
    with closing(sqlite3.connect(home.store)) as connection, connection:
        return connection.execute(statement, values).rowcount


def pipeline_ids(home: StateDir) -> list[str]:
    with closing(sqlite3.connect(home.store)) as connection:
        found = connection.execute("SELECT id FROM pipelines ORDER BY number").fetchall()
        return [one for (one,) in found]


INVALID = "CAST(x'2fff' AS TEXT)"


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE pipelines SET record={INVALID} WHERE number=1",
        "UPDATE pipelines SET record=replace(record, '\"docker\"', '\"dockar\"')",
        f"UPDATE nodes SET state={INVALID} WHERE pipeline=1 AND path='/node00'",
        f"UPDATE nodes SET path={INVALID} WHERE pipeline=1 AND path='/node00'",
        f"UPDATE attempts SET message={INVALID} WHERE pipeline=1 AND path='/node00'",
        f"UPDATE changes SET path={INVALID} WHERE pipeline=1 AND seq=3",
        f"UPDATE texts SET body={INVALID} WHERE pipeline=1",
    ],
)
async def test_agent_runs_the_other_pipelines(home: StateDir, statement: str) -> None:
    one, other, _ = pipeline_ids(home)
    execute(home, statement)
    execute(home, UNSETTLED, one)  # so that the agent loads it when it starts

    async with local_runner(home.base, "process") as local:
        found = await local.pipelines.list_pipelines(ListParams())
        assert {each.pipeline.id for each in found.pipelines} == set(pipeline_ids(home))
        await rerun(local, other)


#: As if a pipeline had been under way.
UNSETTLED = """UPDATE pipelines SET record=json_set(record, '$.status.settled', json('false'))
    WHERE id=? AND json_valid(record)"""


async def rerun(local: Local, pipeline_id: str) -> None:
    """Run a pipeline of an earlier agent again, up to its end."""
    run = Run(local, stored_summary(PipelineRecord(id=pipeline_id, title="")))
    await run.control(Action.RESET, "/node00")
    await run.control(Action.RUN)
    await run.settled()
    assert (await run.states())["/node00"] == "done"


def test_repair_that_is_refused_changes_nothing(home: StateDir) -> None:
    execute(home, f"UPDATE nodes SET state={INVALID} WHERE pipeline=1 AND path='/node00'")
    home.notification_rules.write_bytes(b"\xff" + home.notification_rules.read_bytes())
    before = everything(home)
    shown: list[RepairReport] = []

    report = repair(home, confirm=lambda found: bool(shown.append(found)))

    assert report.needs_repair()
    assert not report.done
    assert shown == [report]
    assert everything(home) == before


def everything(home: StateDir) -> dict[str, bytes]:
    """Return the content of each file of a profile, without the lock files."""
    return {
        str(path.relative_to(home.root)): path.read_bytes()
        for path in home.root.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_that_cannot_be_read_is_not_taken_for_an_empty_one(home: StateDir) -> None:
    one, *_ = pipeline_ids(home)
    execute(home, "DELETE FROM definitions WHERE pipeline=1")
    home.pipeline(one).root.chmod(0)
    try:
        report = repair(home)
    finally:
        home.pipeline(one).root.chmod(0o700)

    assert one in report.left
    assert [each.id for each in report.repaired] == []


def test_a_definition_that_cannot_be_read_leaves_its_pipeline_as_it_is(home: StateDir) -> None:
    """A directory in its place fails like a damaged disk, not like a missing file."""
    one, other, _ = pipeline_ids(home)
    execute(home, "DELETE FROM definitions WHERE pipeline=1")
    execute(home, f"UPDATE nodes SET state={INVALID} WHERE pipeline=2 AND path='/node00'")
    home.pipeline(one).definition.unlink()
    home.pipeline(one).definition.mkdir()

    report = repair(home)

    assert "cannot be read" in report.left[one]
    assert [each.id for each in report.repaired] == [other]
    home.pipeline(one).definition.rmdir()
    assert [each.id for each in repair(home).repaired] == [one]


def test_schedules_are_repaired_and_paused(home: StateDir, tmp_path: Path) -> None:
    execute(
        home,
        """UPDATE schedules SET record=CAST(CAST(replace(record, 'ü', '!') AS BLOB) AS TEXT)
        WHERE name='weekly'""",
    )
    text = "CAST(replace(CAST(record AS BLOB), CAST('ü' AS BLOB), x'ff') AS TEXT)"
    execute(home, f"UPDATE schedules SET record={text} WHERE name='nightly'")
    execute(home, "UPDATE schedules SET wakes='never' WHERE name='weekly'")

    report = repair(home)

    assert {each.id for each in report.others} == {"schedule nightly", "schedule weekly"}
    found = contents(home.store, tmp_path)
    nightly, weekly = (found["schedule", name] for name in NAMES)
    assert nightly.paused
    assert "conducto agent repair" in nightly.paused_why
    assert nightly.cron == weekly.cron == "30 2 * * 1-5"
    assert not weekly.paused
    with closing(SqliteStore.open(home.store)) as store:
        assert store.schedules.next_wake(0.0) is not None
        assert store.schedules.template("", "nightly") == b"template"
    assert not repair(home).needs_repair()


def test_a_schedule_with_a_damaged_command_is_left_and_named(home: StateDir) -> None:
    text = "CAST(replace(CAST(record AS BLOB), CAST('p.py' AS BLOB), x'70ff7079') AS TEXT)"
    execute(home, f"UPDATE schedules SET record={text} WHERE name='nightly'")
    before = home.store.read_bytes()

    report = repair(home)

    assert "add it again" in report.left["schedule nightly"]
    assert not report.needs_repair()
    assert home.store.read_bytes() == before


def test_a_damaged_firing_is_not_executed_again(home: StateDir, tmp_path: Path) -> None:
    known = rules.firing_id(3)
    execute(home, f"UPDATE firings SET record='{{' WHERE schedule='nightly' AND id='{known}'")

    assert [each.id for each in repair(home).others] == ["schedule nightly"]

    firings = contents(home.store, tmp_path)["firings", "nightly"]
    assert len(firings) == 5
    assert firings[known].state is FiringState.FAILED
    assert "damaged" in firings[known].why


async def test_damaged_rules_stop_no_launch_and_are_not_overwritten(home: StateDir) -> None:
    other = RULE.model_copy(update={"name": "other"})
    file = RulesFile(home.notification_rules)
    file.put(other)
    damaged = home.notification_rules.read_bytes().replace(b'"failures"', b'"fail\xffres"')
    home.notification_rules.write_bytes(damaged)

    async with local_runner(home.base, "process") as local:
        await local.run(co.Exec("true"))
        assert await local.pipelines.list_notification_rules() == RuleList(rules=(other,))
        with pytest.raises(DamagedError, match="conducto agent repair"):
            file.put(RULE)
    assert home.notification_rules.read_bytes() == damaged

    report = repair(home)

    assert [each.id for each in report.others] == ["notification rules"]
    assert list(file.all()) == [other]
    assert home.notification_rules.with_name("notification_rules.json.damaged").exists()
    assert not repair(home).needs_repair()
    file.put(RULE)
    assert list(file.all()) == [RULE, other]


#: Repairs copies of a profile in processes that end at their first, second, ... operation on files.
KILLED = """
import os, shutil, signal, sys
from itertools import count
from pathlib import Path
from conducto_local.agent.repair import repair
from conducto_local.agent.state_dir import StateDir

base, work = map(Path, sys.argv[1:])
EVENTS = ("sqlite3.connect", "shutil.", "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir")

def kill_at(number):
    seen = count()
    def hook(event, arguments):
        if event.startswith(EVENTS) and next(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for number in count():
    shutil.copytree(base, work / str(number))
    child = os.fork()
    if child == 0:
        kill_at(number)
        repair(StateDir(work / str(number), "test"), now=lambda: 1e9)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert os.waitstatus_to_exitcode(status) == 0
        break
"""


@pytest.mark.parametrize("with_log", [False, True])
def test_a_repair_that_is_killed_leaves_a_usable_store(
    intact: StateDir, home: StateDir, tmp_path: Path, *, with_log: bool
) -> None:
    one, *others = pipeline_ids(intact)
    scratch, work = tmp_path / "scratch", tmp_path / "work"
    scratch.mkdir()
    work.mkdir()
    expected = contents(intact.store, scratch)
    if with_log:  # the agent was killed, too, so that the damage is in the log
        with closing(sqlite3.connect(home.store)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            with connection:
                connection.execute(f"UPDATE nodes SET state={INVALID} WHERE pipeline=1")
            base = copied(home, tmp_path / "base").base
        assert (base / "test/agent/store.sqlite-wal").stat().st_size
    else:
        execute(home, f"UPDATE nodes SET state={INVALID} WHERE pipeline=1")
        with home.store.open("r+b") as file:  # and a page of the table of another pipeline
            file.truncate(home.store.stat().st_size - PAGE // 2)
        base = home.base

    subprocess.run([sys.executable, "-c", KILLED, base, work], check=True, timeout=600)

    killed = sorted(work.iterdir(), key=lambda path: int(path.name))
    assert len(killed) > 20
    for path in killed:
        left = StateDir(path, "test")
        usable = everything_of_store(left)
        is_original = usable == everything_of_store(StateDir(base, "test"))
        with suppress(DamagedError), closing(SqliteStore.open(left.store)) as store:
            listed = {record.id: record for record in store.records()}
            assert listed.keys() == {one, *others}
            for other in others if not is_original else ():
                assert states(store, listed[other]) == expected[other, "tree"], path.name
        repair(left, now=lambda: 1e9)
        after = contents(left.store, scratch)
        for name in (one, *others):
            assert after[name, "tree"] == expected[name, "tree"], path.name
        assert not repair(left).needs_repair()
        shutil.rmtree(path)


def everything_of_store(home: StateDir) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for suffix in ("", "-wal")
        if (path := home.store.with_name(home.store.name + suffix)).exists()
    }
