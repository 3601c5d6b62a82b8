"""``snapshot_on_error`` from the author's line to the node that runs."""

import pytest

import conducto as co
from conducto.script.flags import Flags
from conducto.tree.launch_form import to_launch_form
from conducto.tree.nodes import Node
from conducto_core.tree.model import NodeSpec
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from support.trees import form, lazy, leaf, serial


def resolved(root: co.Node) -> dict[str, NodeSpec]:
    return resolve(to_launch_form(root)).nodes


def test_parameter_is_inherited_and_the_nearest_value_wins() -> None:
    root = co.Parallel(image="busybox", snapshot_on_error=True)
    root["inherits"] = co.Exec("true")
    root["refuses"] = co.Exec("true", snapshot_on_error=False)

    nodes = resolved(root)

    assert nodes["/inherits"].snapshot_on_error
    assert not nodes["/refuses"].snapshot_on_error


def test_snapshot_on_error_is_off_by_default() -> None:
    assert not resolved(co.Exec("true", image="busybox"))["/"].snapshot_on_error


def test_a_generated_tree_inherits_it() -> None:
    pipeline = resolve(form(serial(lazy("L"), snapshot_on_error=True)))

    generated = resolve_generated(form(serial(leaf("x"))), "/L/Execute", pipeline)

    assert generated.nodes["/L/Execute/x"].snapshot_on_error


def test_it_survives_the_wire() -> None:
    text = co.Exec("true", snapshot_on_error=False).serialize()

    assert Node.deserialize(text).snapshot_on_error is False


def test_it_can_be_set_later() -> None:
    node = co.Exec("true")

    node.set(snapshot_on_error=True)

    assert node.snapshot_on_error is True


def test_a_tree_that_does_not_use_it_is_written_as_before() -> None:
    assert "snapshot_on_error" not in co.Exec("true").serialize(pretty=True)


@pytest.mark.parametrize("given", [True, False])
def test_the_flag_is_an_option_of_the_launch(given: bool) -> None:
    flags = Flags()
    if given:
        flags.given["snapshot_on_error"] = True

    assert flags.fields()["snapshot_on_error"] is given
