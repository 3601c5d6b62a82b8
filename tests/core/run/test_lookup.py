"""Errors for unknown names."""

import pytest

from conducto_core.api.problems import problem_of
from conducto_core.errors import NotFoundError, no_image, no_node
from conducto_core.run.handlers import chosen_attempt
from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.states import State

ATTEMPTS = tuple(AttemptRecord(path="/a", number=n, state=State.DONE) for n in (1, 2, 5))


@pytest.mark.parametrize(("number", "chosen"), [(None, 5), (1, 1), (5, 5)])
def test_the_newest_attempt_is_chosen_unless_another_is_asked_for(
    number: int | None, chosen: int
) -> None:
    found = chosen_attempt("/a", ATTEMPTS, number)

    assert found is not None
    assert found.number == chosen


def test_a_node_that_never_ran_has_no_newest_attempt() -> None:
    assert chosen_attempt("/a", (), None) is None


@pytest.mark.parametrize(
    ("attempts", "said"),
    [(ATTEMPTS, r"^/a: no attempt 3 \(there are: 1, 2, 5\)$"), ((), r"\(there are: none\)$")],
)
def test_unknown_attempt_error_lists_the_known_ones(
    attempts: tuple[AttemptRecord, ...], said: str
) -> None:
    with pytest.raises(NotFoundError, match=said):
        chosen_attempt("/a", attempts, 3)


def test_problem_has_the_path_of_the_unknown_node() -> None:
    problem = problem_of(no_node("abc-def", "/x y"))

    assert (problem.status, problem.path) == (404, "/x y")
    assert problem.detail.startswith("/x y: no such node in abc-def")


def test_unknown_image_error_lists_the_known_ones() -> None:
    error = no_image("abc-def", "app", ["web", "base"])

    assert str(error) == "abc-def: no image 'app'; there are: base, web"
    assert problem_of(error).path is None
