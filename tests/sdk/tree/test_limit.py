"""`co.Limit` in the author API, and its inheritance."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.tree.model import NamedLimit
from conducto_core.tree.rules.resolve import resolve


def test_a_command_counts_in_its_own_limits_and_those_above() -> None:
    root = co.Serial(image="busybox", limits=co.Limit("database", 3))
    root["a"] = co.Exec("true", limits=[co.Limit("licence", 1, priority=2)])
    root["b"] = co.Exec("true", limits=[co.Limit("database", 2)])
    root["c"] = co.Exec("true")

    nodes = resolve(to_launch_form(root)).nodes

    assert nodes["/a"].limits == (NamedLimit("database", 3), NamedLimit("licence", 1, 2))
    assert nodes["/b"].limits == (NamedLimit("database", 2),)
    assert nodes["/c"].limits == (NamedLimit("database", 3),)


def test_a_limit_comes_back_from_the_serialized_form() -> None:
    root = co.Exec("true", limits=co.Limit("database", 3, priority=-1))

    copied = co.Node.deserialize(root.serialize())

    assert repr(copied.limits) == "[Limit('database', 3, priority=-1)]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", 1), "the name of a limit"),
        (("a b", 1), "the name of a limit"),
        ((3, 1), "the name of a limit"),
        (("db", 0), "the number of a limit must be a whole number from 1"),
        (("db", True), "the number of a limit"),
        (("db", 1.5), "the number of a limit"),
        (("db", 1, 101), "the priority of a limit"),
    ],
)
def test_an_invalid_limit_is_refused_where_it_is_written(arguments, said) -> None:
    with pytest.raises(ValueError, match=said):
        co.Limit(*arguments)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ("database", "limits must be a co.Limit or a list of them"),
        ([co.Limit("a", 1), co.Limit("a", 2)], "limits names 'a' twice"),
        ([3], "limits must be a co.Limit"),
    ],
)
def test_invalid_limits_of_a_node_are_refused(limits, said) -> None:
    with pytest.raises(ValueError, match=said):
        co.Exec("true", limits=limits)


def test_too_many_limits_are_refused_at_launch() -> None:
    root = co.Exec("true", image="busybox", limits=[co.Limit(f"l{n}", 1) for n in range(11)])

    with pytest.raises(DefinitionError, match="/: counts in 11 limits; the maximum is 10"):
        resolve(to_launch_form(root))
