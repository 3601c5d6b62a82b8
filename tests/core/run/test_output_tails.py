"""The end of the output of failed commands."""

from __future__ import annotations

import pytest

from conducto_core.logs.lines import TAIL_BYTES, with_tail
from conducto_core.run.model.params import MAX_TAILS, TreeParams
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import NodeView
from conducto_core.run.model.states import NodeType, State


def node(state: State = State.ERROR, kind: NodeType = NodeType.EXEC, attempts: int = 1) -> NodeView:
    tried = [
        AttemptRecord(path="/a", number=number, state=state, command="x")
        for number in range(1, attempts + 1)
    ]
    return NodeView(path="/a", type=kind, state=state, attempts=tuple(tried))


def tail_of(given: NodeView, **printed: bytes) -> str | None:
    def read(path: str, number: int, stream: str, count: int) -> bytes:
        assert (path, number, count) == ("/a", len(given.attempts), TAIL_BYTES)
        return printed.get(stream, b"")

    return with_tail(given, read).tail


def test_stderr_goes_before_stdout() -> None:
    assert tail_of(node(), stderr=b"why\n", stdout=b"what\n") == "why\n"
    assert tail_of(node(), stderr=b" \n", stdout=b"what\n") == "what\n"
    assert tail_of(node()) == ""


def test_it_is_that_of_the_newest_attempt() -> None:
    assert tail_of(node(State.KILLED, attempts=3), stderr=b"why") == "why"


def test_a_letter_that_was_cut_is_marked() -> None:
    assert tail_of(node(), stderr="ä".encode()[1:] + b"bc") == "\ufffdbc"


@pytest.mark.parametrize(
    "other",
    [node(State.DONE), node(State.RUNNING), node(kind=NodeType.PARALLEL), node(attempts=0)],
    ids=["done", "running", "group", "never ran"],
)
def test_other_nodes_have_no_result(other: NodeView) -> None:
    assert tail_of(other, stderr=b"why") is None


def test_a_page_with_tails_is_short() -> None:
    assert TreeParams(id="p", limit=5000, tails=True).maximum == MAX_TAILS
    assert TreeParams(id="p", limit=5, tails=True).maximum == 5
    assert TreeParams(id="p", limit=5000).maximum == 5000
