"""`co.Approve` in the author API."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.tree.model import Approval
from conducto_core.tree.rules.resolve import resolve


def tree(**params: object) -> co.Serial:
    root = co.Serial(image="busybox")
    root["ask"] = co.Approve("Release?", **params)  # type: ignore[arg-type]
    root["release"] = co.Exec("true")
    return root


def test_an_approval_is_printed_with_its_message() -> None:
    assert "ask   approval: Release?" in tree().pretty()


def test_an_approval_reaches_the_runner_as_written() -> None:
    spec = resolve(to_launch_form(tree(who="admin", timeout="1h"))).nodes["/ask"]

    assert spec.approval == Approval("Release?", ("admin",))
    assert spec.max_time == 3600
    assert spec.command == ""


def test_an_approval_comes_back_from_its_serialized_form() -> None:
    copied = co.Node.deserialize(tree(who=["anna"], timeout=60).serialize())

    assert copied["ask"].describe()["approval"] == {"message": "Release?", "who": ["anna"]}
    assert copied.pretty() == tree().pretty()


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"who": [7]}, "who must be text"),
        ({"who": [""]}, "who='' is neither a role"),
        ({"who": []}, "who= is an empty list; name a role"),
        ({"who": ()}, "who= is an empty list"),
        ({"who": 7}, "who=7 is not a role"),
        ({"who": ["viewer"]}, "decides nothing"),
    ],
)
def test_invalid_deciders_are_refused_where_they_are_written(params, said) -> None:
    with pytest.raises(ValueError, match=said):
        tree(**params)


def test_a_parameter_of_commands_is_refused() -> None:
    with pytest.raises(TypeError, match="runs no command, so it has no parameter 'cpu'"):
        co.Approve("Release?", cpu=2)


@pytest.mark.parametrize("message", ["", "  ", "a\x1b[31m", "x" * 2001])
def test_an_invalid_message_is_refused(message) -> None:
    with pytest.raises(ValueError, match="message"):
        co.Approve(message)


def test_an_approval_in_a_kept_container_is_refused_when_the_tree_is_printed() -> None:
    root = co.Serial(image="busybox", container_reuse_context=co.ContainerReuseContext.NEW)
    root["inner"] = co.Serial()
    root["inner"]["ask"] = co.Approve("Release?")

    with pytest.raises(DefinitionError, match="/inner/ask: an approval cannot be inside /"):
        root.pretty()


@pytest.mark.parametrize(
    ("timeout", "said"),
    [
        ("2 weeks", "^timeout is an invalid duration: '2 weeks'"),
        ("2x", "^timeout has an unknown unit 'x'"),
        (0, "^timeout must be above 0"),
        ([1], "^timeout must be seconds or a text"),
    ],
)
def test_an_invalid_timeout_is_refused_where_it_is_written(timeout, said) -> None:
    with pytest.raises(ValueError, match=said):
        tree(timeout=timeout)


def test_an_approval_without_deciders_reaches_the_runner() -> None:
    spec = resolve(to_launch_form(tree())).nodes["/ask"]

    assert spec.approval == Approval("Release?", ())
