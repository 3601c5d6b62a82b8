"""Lazy: its shape, its callback, what its parameters reach."""

from __future__ import annotations

import pytest

import conducto as co


def tree(n: int) -> co.Serial:
    return co.Serial(doc=str(n))


def test_lazy_is_a_serial_of_generate_and_execute() -> None:
    lazy = co.Lazy("make-tree")

    assert isinstance(lazy, co.Serial)
    assert [(name, type(node)) for name, node in lazy.children.items()] == [
        ("Generate", co.Exec),
        ("Execute", co.Parallel),
    ]


def test_generate_fills_execute_when_done() -> None:
    root = co.Serial()
    root["lz"] = co.Lazy("make-tree")

    assert root["lz/Generate"].describe()["callbacks"] == [
        ["done", ["deserialize_into_node", {"target": "/lz/Execute"}]]
    ]


def test_parameters_reach_generate_only() -> None:
    lazy = co.Lazy("make-tree", cpu=3, image="a")

    assert lazy["Generate"].cpu == 3
    assert (lazy.cpu, lazy["Execute"].cpu, lazy["Execute"].image) == (None, None, None)


@pytest.mark.parametrize("make", [co.Lazy, co.lazy_py])
def test_function_is_called_in_generate(make) -> None:
    generate = make(tree, 3)["Generate"]

    assert isinstance(generate, co.Exec)
    assert generate.command.endswith(" tree --n=3")


def test_lazy_takes_no_name() -> None:
    with co.Serial() as root, pytest.raises(co.TreeError, match="Adding node"):
        co.Lazy("make-tree", name="lz")

    assert root.children == {}


def test_env_of_lazy_shell_is_around_both_children() -> None:
    assert co.lazy_shell("x", env={"A": "1"}).env == {"A": "1"}
    assert co.lazy_shell("x", cpu=2).env == {}
    assert co.lazy_shell("x", cpu=2)["Generate"].cpu == 2


def test_lazy_knows_the_line_that_made_it() -> None:
    lazy = co.Lazy("x")

    assert {node.file for node in lazy.stream()} == {__file__}
