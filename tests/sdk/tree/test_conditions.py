"""``run_if`` in the author API."""

from __future__ import annotations

from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.tree.validate import validate
from conducto.wire.conditions import text_of
from conducto_core.tree.rules.resolve import resolve


def tree(make: Any) -> co.Serial:
    root = co.Serial(image="busybox")
    root["check"] = check = co.Exec("true")
    root["deploy"] = co.Exec("true", run_if=make(check))
    return root


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda check: check.result == "a", 'result(/check) == "a"'),
        (lambda check: check.result["n"][0] >= 3, 'result(/check)["n"][0] >= 3'),
        (lambda check: check.result["n"] != None, 'result(/check)["n"] != null'),  # noqa: E711
        (lambda check: check.result.is_in(["a", "b"]), 'result(/check) in ["a", "b"]'),
        (lambda check: check.result, "result(/check)"),
        (lambda check: ~check.result["skip"], 'not result(/check)["skip"]'),
        (
            lambda check: (check.result == 1) | (check.result > 5) & check.result["x"],
            'result(/check) == 1 or (result(/check) > 5 and result(/check)["x"])',
        ),
        (lambda _check: co.result("/check") == "a", 'result(/check) == "a"'),
        (lambda _check: co.payload()["branch"] == "main", 'payload()["branch"] == "main"'),
    ],
)
def test_a_condition_reaches_the_runner(make: Any, text: str) -> None:
    condition = resolve(to_launch_form(tree(make))).nodes["/deploy"].run_if

    assert condition is not None
    assert text_of(condition) == text


def test_a_condition_comes_back_from_its_serialized_form() -> None:
    root = tree(lambda check: (check.result == "a") & ~check.result["b"])

    copied = co.Node.deserialize(root.serialize())

    assert copied["deploy"].run_if is not None
    assert repr(copied["deploy"].run_if) == repr(root["deploy"].run_if)


def test_a_condition_is_not_a_value_of_the_script() -> None:
    check = co.Exec("true")

    with pytest.raises(TypeError, match="and combine conditions with &"):
        bool(check.result == "a")
    with pytest.raises(TypeError, match="use it in run_if="):
        bool(check.result["a"])


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda _check: True, TypeError, "run_if must be a condition such as"),
        (lambda _check: ["=", "/check", [], 1], ValueError, "unknown comparison"),
        (lambda check: check.result == {"a": 1}, DefinitionError, "compares with {'a': 1}"),
        (lambda check: check.result < None, DefinitionError, "compares numbers or texts"),
        (lambda _check: co.result("/no") == 1, DefinitionError, "the tree has no such node"),
        (lambda _check: co.Exec("x").result == 1, DefinitionError, "of another tree"),
    ],
)
def test_an_invalid_condition_is_refused(make: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        validate(tree(make), check_images=False)


def item(number: int) -> None:
    """Do nothing."""


def test_items_of_a_map_have_no_condition() -> None:
    check = co.Exec("true")

    with pytest.raises(ValueError, match="run_if is not for the items"):
        co.map(item, [1, 2], params=co.Params(run_if=check.result == 1))
