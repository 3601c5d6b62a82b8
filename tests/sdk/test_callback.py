"""`co.callback`: what a callback is on the wire, and what it refuses."""

from __future__ import annotations

import json

import pytest

from conducto import callback

SHOWN = {"inherited": False, "user_display": True}
CASES = {
    "retry": (callback.retry(3), {"max_num_retries": 3}),
    "retry_then_skip": (callback.retry_then_skip(2), {"max_num_retries": 2}),
    "retry_with_double_mem": (callback.retry_with_double_mem(1), {"max_num_retries": 1}),
    "skip_some_errors": (callback.skip_some_errors(4), {"max_num_errors": 4}),
    "handle_memory_errors": (
        callback.handle_memory_errors(),
        {"mem_limits": [8, 32], "max_duration": 3600},
    ),
    "email": (callback.email(to="a@b.org"), {"to": "a@b.org", "cc": None}),
    "slack_status": (
        callback.slack_status("#ops"),
        {"recipient": "#ops", "message": None, "node_summary": False},
    ),
    "github_status": (callback.github_status("u", "s"), {"url": "u", "sha": "s"}),
    "github_pipeline_status": (callback.github_pipeline_status("u", "s"), {"url": "u", "sha": "s"}),
}


class Node:
    """As much of a node as a callback knows of it."""

    path = "/before"

    def __str__(self) -> str:
        return self.path


@pytest.mark.parametrize("name", CASES)
def test_the_wire_form_is_the_name_and_every_parameter(name: str) -> None:
    made, parameters = CASES[name]

    literal = made.to_literal()

    assert literal == [name, {**parameters, **SHOWN}]
    assert json.loads(json.dumps(literal)) == literal
    assert isinstance(made, callback.base)


def test_a_node_becomes_the_path_it_has_when_written() -> None:
    node = Node()
    made = callback.deserialize_into_node(target=node)

    node.path = "/after/Execute"

    assert made.to_literal() == ["deserialize_into_node", {"target": "/after/Execute"}]


def test_inheritance_and_display_are_on_the_wire_and_readable() -> None:
    made = callback.retry(1, inherited=True, user_display=False)

    assert (made.inherited, made.user_display) == (True, False)
    assert made.to_literal()[1]["inherited"] is True
    assert made.to_literal()[1]["user_display"] is False


def test_a_callback_prints_as_it_is_written() -> None:
    assert repr(callback.retry(1)).startswith("co.callback.retry(max_num_retries=1, ")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: callback.retry("3"), "retry: max_num_retries must be a whole number"),
        (lambda: callback.retry(-1), "got -1"),
        (lambda: callback.retry(True), "got True"),
        (lambda: callback.retry_then_skip(1.5), "retry_then_skip: max_num_retries"),
        (lambda: callback.skip_some_errors(None), "skip_some_errors: max_num_errors"),
        (lambda: callback.handle_memory_errors(8), "mem_limits must be a list"),
        (lambda: callback.handle_memory_errors([]), r"got \[\]"),
        (lambda: callback.handle_memory_errors([8, 0]), "must be above 0, got 0"),
        (lambda: callback.handle_memory_errors([8], float("nan")), "max_duration must be above 0"),
        (lambda: callback.email(to="nobody"), "to must be an e-mail address"),
        (lambda: callback.email(cc=["a@b.org", 3]), "cc must be an e-mail address"),
        (lambda: callback.slack_status(" "), "slack_status: recipient must be a text"),
        (lambda: callback.github_status("u", None), "github_status: sha must be a text"),
        (lambda: callback.github_pipeline_status("", "s"), "github_pipeline_status: url"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value(make, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("make", [callback.retry, lambda: callback.retry(1, 2)])
def test_a_missing_or_superfluous_parameter_is_a_type_error(make) -> None:
    with pytest.raises(TypeError):
        make()
