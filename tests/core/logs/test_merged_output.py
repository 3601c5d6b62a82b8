"""The output of several commands in one sequence: pages in both directions, levels, limits."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conducto_core.command.output import LineTime, part_of
from conducto_core.logs import rules
from conducto_core.logs.levels import level_of
from conducto_core.logs.model import MergedStream
from conducto_core.logs.rules import Cursor, CursorError, OutputCommand, Scan

#: Commands with services.
BESIDE = ("/0", "/1")


class Machine:
    """Commands that print, and a reader of what they printed; time is a number of steps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.data: dict[tuple[str, MergedStream], bytes] = {}
        self.stamps: dict[tuple[str, MergedStream], list[LineTime]] = {}
        self.started: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.broken: set[str] = set()

    def start(self, path: str) -> None:
        self.started[path] = self.now

    def end(self, path: str) -> None:
        self.ended[path] = self.now

    def say(self, path: str, text: str, stream: MergedStream = "stdout") -> None:
        key = (path, stream)
        known = self.data.get(key, b"")
        self.stamps.setdefault(key, []).append((len(known), self.now))
        self.data[key] = known + text.encode()

    def commands(self) -> list[OutputCommand]:
        return [
            OutputCommand(path, 1, started, self.ended.get(path), self._size(path), path in BESIDE)
            for path, started in self.started.items()
        ]

    def _size(self, path: str) -> int | None:
        sizes = [
            len(data)
            for (owner, stream), data in self.data.items()
            if owner == path and stream != "services"
        ]
        return sum(sizes) if path in self.ended else None

    def size(self, command: OutputCommand, stream: MergedStream) -> int:
        if command.path in self.broken:
            raise OSError("the disk does not answer")
        return len(self.data.get((command.path, stream), b""))

    def read(self, command: OutputCommand, stream: MergedStream, offset: int, count: int) -> bytes:
        return self.data.get((command.path, stream), b"")[offset : offset + count]

    def times(
        self, command: OutputCommand, stream: MergedStream, start: int, end: int
    ) -> Sequence[LineTime]:
        return part_of(self.stamps.get((command.path, stream), []), start, end)

    def map(self, function: Callable[[Any], Any], values: Sequence[Any]) -> Iterable[Any]:
        return map(function, values)

    def page(self, cursor: Cursor | None, lines: int) -> tuple[Scan, list[tuple[str, str, int]]]:
        """Read a page; return its lines in the order in which they were read."""
        again = None if cursor is None else Cursor.parse(cursor.packed())
        scan = Scan(self.commands(), self, again, self.now)
        scan.read(lines)
        return scan, [
            (one.opened.command.path, one.opened.stream, one.start) for one in scan.read_lines
        ]

    def everything(self) -> set[tuple[str, str, int]]:
        """Return all lines, by where they start."""
        found = set()
        for (path, stream), data in self.data.items():
            at = 0
            while at < len(data):
                end = data.find(b"\n", at) + 1
                if end == 0 and path not in self.ended:
                    break
                found.add((path, stream, at))
                at = end or len(data)
        return found


def _all_back(machine: Machine, cursor: Cursor | None, lines: int) -> list[tuple[str, str, int]]:
    found: list[tuple[str, str, int]] = []
    while cursor is not None:
        scan, page = machine.page(cursor, lines)
        found += page
        cursor = scan.back(len(page))
    return found


def test_lines_of_commands_are_in_the_order_of_time() -> None:
    machine = Machine()
    for path in ("/a", "/b"):
        machine.start(path)
    for step, path in enumerate(["/b", "/a", "/b", "/b", "/a"]):
        machine.now = float(step)
        machine.say(path, f"line {step}\n", "stderr" if step == 2 else "stdout")

    scan, _ = machine.page(None, 3)

    assert [read_line.text for read_line in scan.read_lines] == ["line 4", "line 3", "line 2"]
    assert scan.left(3) == 2  # both have earlier lines
    back, page = machine.page(scan.back(3), 10)
    assert [read_line.text for read_line in back.read_lines] == ["line 1", "line 0"]
    assert back.back(len(page)) is None
    assert back.left(2) == 0


steps = st.lists(
    st.tuples(
        st.sampled_from(["start", "say", "say", "say", "part", "end", "page"]),
        st.integers(0, 5),
        st.sampled_from(["stdout", "stderr", "services"]),
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 30.0]),
    ),
    max_size=60,
)


@given(steps=steps, lines=st.integers(1, 7))
@example(  # one stream of a command is read, the other is left, and the command ended long ago
    steps=[
        ("start", 0, "stdout", 0.0),
        ("part", 0, "stderr", 0.0),
        ("page", 0, "stdout", 0.0),
        ("say", 0, "stdout", 0.0),
        ("end", 0, "stdout", 0.0),
        ("start", 0, "stdout", 30.0),
    ],
    lines=1,
)
@settings(max_examples=300)
def test_each_line_is_in_exactly_one_page(
    steps: list[tuple[str, int, MergedStream, float]], lines: int
) -> None:
    machine = Machine()
    newest: Cursor | None = None
    back: Cursor | None = None
    found: list[tuple[str, str, int]] = []

    def read_on(following: Cursor | None) -> Cursor | None:
        while following is not None:
            scan, page = machine.page(following, lines)
            found.extend(page)
            assert len(found) <= len(steps)
            following = scan.next(len(page))
            if len(page) < lines:
                return following
        return following

    for number, (what, which, stream, pause) in enumerate(steps):
        machine.now += pause
        path = f"/{which}"
        running = path in machine.started and path not in machine.ended
        if what == "start" and path not in machine.started:
            machine.start(path)
        elif what in ("say", "part") and running and (stream != "services" or path in BESIDE):
            machine.say(path, f"{number}" + ("\n" if what == "say" else ""), stream)
        elif what == "end" and running:
            machine.end(path)
        elif what == "page" and newest is None:
            scan, page = machine.page(None, lines)
            found.extend(page)
            back, newest = scan.back(len(page)), scan.next(len(page))
            assert newest is not None
        elif what == "page":
            newest = read_on(newest)
        machine.now += 0.001  # no two things happen at the same time

    if newest is None:
        found = _all_back(machine, machine.page(None, lines)[0].back(0), lines)
    else:
        read_on(newest)
        found += _all_back(machine, back, lines)
    assert sorted(found) == sorted(machine.everything())


def test_lines_of_services_have_their_name_and_no_other_stream_hides_them() -> None:
    machine = Machine()
    for path in BESIDE:
        machine.start(path)
        machine.say(path, "db | ready | now\nconducto: cut\n", "services")
        machine.now += 1
        machine.end(path)

    scan, _ = machine.page(None, 10)

    assert [(one.service, one.text) for one in scan.read_lines[:2]] == [
        (None, "conducto: cut"),
        ("db", "ready | now"),
    ]
    assert len(scan.read_lines) == 4  # also of commands that printed nothing themselves


def test_late_lines_of_a_running_command_are_read_on_the_way_on() -> None:
    machine = Machine()
    machine.start("/late")
    machine.start("/other")
    machine.now = 100.0
    machine.say("/other", "at 100\n")
    scan, page = machine.page(None, 10)

    machine.now = 90.0  # printed before, arrived later
    machine.say("/late", "at 90\n")
    machine.now = 101.0
    on, lines = machine.page(scan.next(len(page)), 10)

    assert [path for path, _, _ in lines] == ["/late"]
    assert [read_line.time for read_line in on.read_lines] == [90.0]


def test_a_failing_stream_is_unread_and_read_later() -> None:
    machine = Machine()
    for path in ("/bad", "/good"):
        machine.start(path)
        machine.say(path, "one\ntwo\n")
        machine.now += 1
        machine.end(path)
    machine.broken = {"/bad"}

    scan, page = machine.page(None, 10)

    assert {path for path, _, _ in page} == {"/good"}
    (unread,) = scan.unread()
    assert (unread.count, unread.again) == (1, True)
    assert scan.left(len(page)) == 1
    machine.broken.clear()
    again, page = machine.page(scan.back(len(page)), 10)
    assert [path for path, _, _ in page] == ["/bad", "/bad"]
    assert again.back(2) is None


def test_more_commands_than_the_maximum_are_named() -> None:
    machine = Machine()
    for number in range(rules.MAX_COMMANDS + 5):
        machine.start(f"/{number}")
        machine.now += 1
        machine.say(f"/{number}", "x\n")
        machine.end(f"/{number}")

    scan, page = machine.page(None, rules.MAX_SCANNED_LINES)

    assert len(page) == rules.MAX_COMMANDS
    assert page[0][0] == f"/{rules.MAX_COMMANDS + 4}"
    (unread,) = scan.unread()
    assert unread.count == 5
    assert "newest 1,000" in unread.reason
    assert scan.left(len(page)) == 5


def test_many_running_commands_have_a_short_cursor() -> None:
    machine = Machine()
    for number in range(2 * rules.MAX_RUNNING):
        machine.start(f"/{number}")
        machine.say(f"/{number}", "x\ny\n", "stdout")
        machine.say(f"/{number}", "z\n", "stderr")
    machine.now = 1.0

    scan, page = machine.page(None, 1)

    following, back = scan.next(len(page)), scan.back(len(page))
    assert following is not None
    assert back is not None
    assert len(following.packed()) < 8000
    assert len(back.packed()) < 8000
    assert [each.count for each in scan.unread()] == [rules.MAX_RUNNING]


def test_a_very_long_line_comes_in_parts() -> None:
    machine = Machine()
    machine.start("/a")
    machine.say("/a", "x" * 200_000 + "\nend\n")
    machine.now = 1.0
    machine.end("/a")

    scan, _ = machine.page(None, 100)

    covered = sorted((read_line.start, read_line.end) for read_line in scan.read_lines)
    assert covered[0][0] == 0
    assert [end for _, end in covered[:-1]] == [start for start, _ in covered[1:]]
    assert covered[-1] == (200_001, 200_005)


@pytest.mark.parametrize("text", ["nothing", "", "AAAA", "x" * 200])
def test_other_texts_are_refused_as_cursors(text: str) -> None:
    with pytest.raises(CursorError, match="is not a cursor"):
        Cursor.parse(text)


@pytest.mark.parametrize(
    ("text", "stream", "level"),
    [
        ("ERROR settle: failed", "stdout", "error"),
        ("2026-12-01 10:00:00,123 root WARNING low", "stdout", "warning"),
        ("INFO  listening", "stderr", "info"),
        ("error: no such file", "stdout", "error"),
        ("Error handling works", "stdout", "info"),
        ("[warn]: old", "stdout", "warning"),
        ("KeyError: 'fee_bp'", "stdout", "error"),
        ("E   KeyError: 'fee_bp'", "stdout", "error"),
        ("Traceback (most recent call last):", "stderr", "error"),
        ('{"level": "error", "message": "x"}', "stdout", "error"),
        ('{"severity": "WARNING"}', "stdout", "warning"),
        ('{"level": 3}', "stderr", "warning"),
        ("\x1b[31mFATAL\x1b[0m gone", "stdout", "error"),
        ("plain", "stdout", "info"),
        ("plain", "stderr", "warning"),
    ],
)
def test_levels_of_lines(text: str, stream: MergedStream, level: str) -> None:
    assert level_of(text, stream) == level
