from functools import cache
from typing import get_args

import pytest

from conducto_cli.text.text import ASCII_MARKS, UNICODE_MARKS, text_of, width
from conducto_cli.view.model import PipelineModel
from conducto_cli.view.rows import tree_lines
from conducto_cli.view.screen import Frame, render
from conducto_core.run.model.records import Counts, ImageRecord, ImageState, WaitKind
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import Cause, State
from support.cli_trees import (
    approval,
    asked,
    batch,
    change,
    ended,
    record,
    running,
    small_tree,
    summary,
    view,
    wide_tree,
)


def shown(
    model: PipelineModel, columns: int = 80, rows: int = 24, now: float = 10.0, footer: str = ""
) -> list[str]:
    frame = Frame(columns, rows, now, UNICODE_MARKS)
    return [text_of(line).rstrip() for line in render(model, frame, footer)]


def model_of(nodes: list[NodeView], state: State = State.RUNNING, **counts: int) -> PipelineModel:
    model = PipelineModel(summary(state, started=1.0, **counts))
    model.add(nodes)
    return model


def test_before_the_tree_is_read_the_pipeline_is_named() -> None:
    model = PipelineModel(summary(pending=3))

    assert shown(model) == [
        "○ demo.py  abc-def  pending",
        "P 3  Q 0  R 0  D 0  E 0  K 0",
        "reading the tree",
    ]


FULL = "the disk is full; free some space (conducto gc) and it goes on by itself " * 2


def test_wait_reason_is_shown_completely() -> None:
    model = model_of(small_tree(), pending=3)
    told = summary(pending=3).model_copy(update={"pipeline": record(problem=FULL)})
    model.apply(batch(now=told))

    lines = shown(model, columns=40)

    assert " ".join(line.strip() for line in lines[2:6]) == FULL.strip()
    assert lines[6].startswith("○ build")


def test_done_collapses_running_opens_and_failures_say_where() -> None:
    nodes = [
        view("/", "Serial", state=State.RUNNING),
        view("/build", "Parallel", state=State.DONE, counts=Counts(done=2), started=1.0, ended=5.1),
        ended("/build/a", State.DONE),
        ended("/build/b", State.DONE, ended=5.1),
        view(
            "/tests",
            "Parallel",
            state=State.RUNNING,
            counts=Counts(error=1, running=1),
            started=2.0,
        ),
        ended("/tests/login", State.ERROR, cause=Cause.EXIT_CODE, started=2.0, ended=2.8),
        running("/tests/logout", 7.5),
        view("/deploy"),
    ]

    assert shown(model_of(nodes, done=2, error=1, running=1, pending=1)) == [
        "● demo.py  abc-def  running 9.0s",
        "P 1  Q 0  R 1  D 2  E 1  K 0",
        "▸ build   ✔ 2/2  4.1s",
        "▾ tests   ✔ 0/2  ✘ 1  ● 1  8.0s",
        "  ✘ login   exit 1  0.8s  pipeline.py:41",
        "  ● logout  2.5s",
        "○ deploy  pending",
    ]


def test_wide_group_shows_running_then_failed_nodes_and_counts_the_rest() -> None:
    nodes = wide_tree(10_000)
    model = model_of(nodes, running=2)
    changes = [change(8400, "/all", State.RUNNING, "Parallel")]
    changes += [change(n, f"/all/n{n}", State.DONE) for n in range(1, 8413)]
    changes += [
        change(8413, "/all/n9000", State.ERROR, cause=Cause.EXIT_CODE, exit_code=3),
        change(8414, "/all/n9001", State.RUNNING),
        change(8415, "/all/n9002", State.RUNNING),
    ]
    counts = Counts(done=8412, error=1, running=2, pending=1585)
    model.apply(batch(*changes, counts={"/all": counts, "/": counts}))

    assert shown(model, now=8416.0)[2:] == [
        "▾ all  ✔ 8,412/10,000  ✘ 1  ● 2  16s",
        "  ● n9001  2.0s",
        "  ● n9002  1.0s",
        "  ✘ n9000  exit 3  pipeline.py:41",
        "  … 8,412 more done, 1,585 pending",
    ]


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 13, 24])
@pytest.mark.parametrize("columns", [5, 20, 79])
def test_the_screen_is_never_left(rows: int, columns: int) -> None:
    nodes = [view("/", "Serial", state=State.RUNNING)]
    for group in range(6):
        name = f"/日本語のとても長い名前{group}"
        nodes.append(view(name, "Parallel", state=State.RUNNING, counts=Counts(running=12)))
        nodes += [running(f"{name}/x{n}", 1.0) for n in range(12)]
    model = model_of(nodes, running=72)

    lines = shown(model, columns, rows, footer="Ctrl-C detaches")

    assert len(lines) <= rows
    assert max(map(width, lines)) <= columns


def test_every_open_group_gets_lines_before_one_gets_all() -> None:
    nodes = [view("/", "Serial", state=State.RUNNING)]
    for name in ("/a", "/b"):
        counts = Counts(running=50)
        nodes.append(view(name, "Parallel", state=State.RUNNING, counts=counts, started=1.0))
        nodes += [running(f"{name}/x{n}", 1.0) for n in range(50)]

    lines = shown(model_of(nodes), rows=10)

    assert [line for line in lines if line.startswith("▾")] == [
        "▾ a  ✔ 0/50  ● 50  9.0s",
        "▾ b  ✔ 0/50  ● 50  9.0s",
    ]
    assert sum("● x" in line for line in lines) == 4


@cache  # read only, and slow to make
def many_groups() -> PipelineModel:
    """50 groups of 100: two Execs run, one group has failed, three are done, the rest wait."""
    nodes = [view("/", "Parallel", state=State.RUNNING)]
    for group in range(50):
        nodes.append(view(f"/g{group}", "Parallel", state=State.PENDING))
        nodes += [view(f"/g{group}/n{n}") for n in range(100)]
    model = model_of(nodes, running=2)
    changes, counts = [], {}
    for group in range(50):
        name = f"/g{group}"
        changes.append(change(2, name, State.RUNNING, "Parallel"))
        changes += [change(2, f"{name}/n{n}", State.QUEUED) for n in range(100)]
        counts[name] = Counts(queued=100)
    for group in range(3):
        changes.append(change(3, f"/g{group}", State.DONE, "Parallel"))
        counts[f"/g{group}"] = Counts(done=100)
    for n in range(90):
        changes.append(change(4, f"/g3/n{n}", State.ERROR, cause=Cause.EXIT_CODE, exit_code=1))
    counts["/g3"] = Counts(error=90, queued=10)
    for path in ("/g40/n7", "/g44/n8"):
        changes.append(change(5, path, State.RUNNING, attempt=1))
        counts[path.rpartition("/")[0]] = Counts(queued=99, running=1)
    model.apply(batch(*changes, counts=counts))
    return model


def test_running_nodes_come_first_and_other_groups_are_folded() -> None:
    lines = shown(many_groups(), now=9.0)[2:]

    assert lines[:6] == [
        "▾ g40  ✔ 0/100  ● 1  ◌ 99  7.0s",
        "  ● n7  4.0s",
        "  … 99 more queued",
        "▾ g44  ✔ 0/100  ● 1  ◌ 99  7.0s",
        "  ● n8  4.0s",
        "  … 99 more queued",
    ]
    assert lines[6].startswith("▾ g3   ✔ 0/100  ✘ 90  ◌ 10")
    assert lines[7] == "  ✘ n0  exit 1  pipeline.py:41"
    assert lines[-1] == "… 44 more queued, 3 done"


@pytest.mark.parametrize("rows", range(3, 30, 4))
def test_running_nodes_are_visible_on_a_low_terminal(rows: int) -> None:
    lines = shown(many_groups(), rows=rows, now=9.0)

    assert len(lines) <= rows
    assert rows < 8 or any("● n7" in line for line in lines)
    assert not any("◌ n" in line for line in lines)


def test_a_long_name_is_shortened_and_not_why_its_node_failed() -> None:
    name = "test_that_an_extremely_long_name_of_a_parametrised_test_leaves_room[case-17]"
    nodes = [
        view("/", "Parallel", state=State.ERROR),
        ended(f"/{name}", State.ERROR, cause=Cause.OUT_OF_MEMORY, started=2.0, ended=3.0),
    ]

    (line,) = shown(model_of(nodes, State.ERROR, error=1), columns=60)[2:]

    assert line.startswith("✘ test_that_")
    assert "…" in line
    assert line.endswith("[case-17]  out of memory  1.0s  pipeline.py:41")
    assert width(line) <= 60


def test_a_command_in_the_footer_is_whole_however_narrow_the_terminal() -> None:
    command = "conducto debug abc-def '/a path/that is longer than the terminal is wide'"

    lines = shown(many_groups(), columns=30, rows=12, footer=f"leave, then:\n{command}")

    assert lines[8:] == ["leave, then:", command[:30], command[30:60].rstrip(), command[60:]]


def test_nesting_far_deeper_than_the_screen_is_cut() -> None:
    nodes = [view("/", "Serial", state=State.RUNNING)]
    path = ""
    for _ in range(3000):
        path += "/d"
        nodes.append(view(path, "Serial", state=State.RUNNING, counts=Counts(running=1)))

    assert len(shown(model_of(nodes), rows=24)) == 24


def test_second_attempt_is_marked() -> None:
    nodes = [view("/", "Serial"), view("/a", state=State.RUNNING)]
    model = model_of(nodes)
    model.apply(batch(change(1, "/a", State.RUNNING, attempt=2)))

    assert shown(model, now=3.5)[-1] == "● a  2.5s  attempt 2"


def test_an_image_shows_how_far_its_build_is() -> None:
    building = ImageRecord(name="app", state=ImageState.BUILDING, started=4.0)
    model = PipelineModel(summary(images=(building,), pending=1))
    model.build_lines["app"] = "Step 2/3 : RUN pip install numpy"

    assert shown(model)[2] == "● image app  building  6.0s  Step 2/3 : RUN pip install numpy"


def test_a_single_exec_is_its_own_tree() -> None:
    assert shown(model_of([running("/", 8.0)], running=1))[2:] == ["● /  2.0s"]


def test_a_terminal_without_unicode_gets_ascii() -> None:
    model = model_of(small_tree(), State.PENDING)

    lines = render(model, Frame(80, 24, 10.0, ASCII_MARKS))

    assert "".join(map(text_of, lines)).isascii()


def test_waiting_approval_is_shown_with_the_command_that_decides_it() -> None:
    model = model_of([view("/", "Serial"), approval("/ask", state=State.PENDING), view("/next")])
    told = summary(State.RUNNING, queued=1, pending=1)
    told = told.model_copy(update={"approvals": (asked("/ask", "Release\nto all?"),)})
    model.apply(batch(change(1, "/ask", State.QUEUED, attempt=1), now=told))

    assert shown(model)[2:] == [
        "  waits for approval: conducto approve abc-def /ask  Release to all?",
        "◌ ask   queued",
        "○ next  pending",
    ]

    said = "waits for the approval of a member"
    model.explain([view("/ask", state=State.QUEUED, waits_for=said)])

    assert shown(model)[3] == f"◌ ask   {said}"


@pytest.mark.parametrize("kind", get_args(WaitKind))
def test_each_kind_of_wait_is_shown(kind: str) -> None:
    why = "the plan 'free' allows 2 workers at once"
    queued = view("/load", state=State.QUEUED, waits_for=why, wait_kind=kind)
    model = model_of([view("/", "Parallel"), queued])

    assert shown(model)[2:] == [f"◌ load  {why}"]
    assert [text_of(line) for line in tree_lines([model.rows["/"]], 10.0, ASCII_MARKS)][1].endswith(
        why
    )


def test_failure_that_a_node_waited_for_is_not_shown_after_its_reset() -> None:
    why = "waits for /e2e, which failed"
    waits = view("/next", waits_for=why, wait_kind="turn", wait_holder="/e2e")
    model = model_of([view("/", "Serial"), view("/e2e", state=State.ERROR), waits])
    assert shown(model)[3] == f"○ next  {why}"

    model.apply(batch(change(1, "/e2e", State.QUEUED, attempt=1)))

    assert not any(why in line for line in shown(model))


def test_approval_that_was_asked_again_shows_the_reason_and_the_number_to_decide() -> None:
    model = model_of([view("/", "Serial"), approval("/ask")])
    again = {"attempt": 2, "withdrawn": ("withdrawn after a change: ben modified /next",)}
    waiting = asked("/ask", "Release?").model_copy(update=again)
    told = summary(State.RUNNING, queued=1).model_copy(update={"approvals": (waiting,)})
    model.apply(batch(change(1, "/ask", State.QUEUED, attempt=2), now=told))

    assert shown(model)[2:4] == [
        "  waits for approval: conducto approve abc-def /ask --attempt 2  Release?",
        "    asked again: withdrawn after a change: ben modified /next",
    ]


def test_decided_approval_waits_no_longer() -> None:
    model = model_of([view("/", "Serial"), approval("/ask"), view("/next")])
    model.apply(batch(change(1, "/ask", State.DONE, attempt=1)))

    assert not any("waits" in line for line in shown(model))


def test_named_limit_that_a_command_waits_for_is_shown_until_it_starts() -> None:
    why = "waiting for limit database, held by xyz"
    limited = view("/load", state=State.QUEUED, waits_for=why, wait_kind="limit")
    turn = view("/next", state=State.QUEUED, waits_for="next in the queue", wait_kind="turn")
    model = model_of([view("/", "Parallel"), limited, turn])

    assert shown(model)[2:] == [f"◌ load  {why}", "◌ next  next in the queue"]

    model.apply(batch(change(1, "/load", State.RUNNING, attempt=1)))

    assert not any(why in line for line in shown(model))
