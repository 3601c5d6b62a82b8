"""Every parameter of a node says which node it comes from."""

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.run.model.states import NodeType
from conducto_core.tree.model import Callback, NodeSpec, ancestors
from conducto_core.tree.rules import provenance
from conducto_core.tree.rules.resolve import resolve


def chain_of(root, path, edits=None):
    nodes = resolve(to_launch_form(root), edits).nodes
    return [nodes[one] for one in (path, *ancestors(path))]


def sources(root, path):
    """Return ``{parameter: (value, where it comes from)}``."""
    found = provenance.parameters(chain_of(root, path))
    return {one.name: (one.value, one.source) for one in found}


@pytest.fixture
def root():
    with co.Serial(image="debian", cpu=2, env={"A": "root", "B": "root"}, max_time=60) as root:
        with co.Parallel(name="group", mem=6, max_concurrent=4, container_reuse_context="new"):
            co.Exec("true", name="plain")
            co.Exec("true", name="own", cpu=5, max_time=9, env={"A": "own", "C": "own"})
        # Without it, what all of the group share would be written on the root (`tree.simplify`).
        co.Exec("true", name="other", mem=1, container_reuse_context="global")
    return root


def test_inherited_values_name_their_origin(root):
    found = sources(root, "/group/plain")

    assert found["image"][1] == "/"
    assert found["cpu"] == (2, "/")
    assert found["mem"] == (6, "/group")
    assert found["max_time"] == (60, "/")
    assert found["container_reuse_context"] == ("new", "/group")


def test_own_values_come_from_the_node_itself(root):
    found = sources(root, "/group/own")

    assert found["cpu"] == (5, "/group/own")
    assert found["max_time"] == (9, "/group/own")
    assert found["mem"] == (6, "/group")


def test_default_has_no_origin(root):
    found = sources(root, "/group/plain")

    assert found["gpu"] == (0, None)
    assert found["requires_docker"] == (False, None)
    assert found["skip"] == (False, None)
    assert found["snapshot_on_error"] == (False, None)
    with co.Serial(image="debian") as bare:
        co.Exec("true", name="a")
    assert sources(bare, "/a")["max_time"][1] is None
    assert sources(bare, "/a")["container_reuse_context"] == (None, None)


def test_each_node_type_has_its_applicable_parameters(root):
    assert "stop_on_error" in sources(root, "/")
    assert sources(root, "/group")["max_concurrent"] == (4, "/group")
    assert "stop_on_error" not in sources(root, "/group")
    assert not {"stop_on_error", "max_concurrent"} & sources(root, "/group/own").keys()


def test_a_group_has_the_time_that_is_written_on_it_alone(root):
    assert sources(root, "/")["max_time"] == (60, "/")
    assert sources(root, "/group")["max_time"] == (None, None)


def test_each_variable_says_where_it_comes_from(root):
    found = provenance.variables(chain_of(root, "/group/own"))

    assert [(one.name, one.value, one.source) for one in found] == [
        ("A", "own", "/group/own"),
        ("B", "root", "/"),
        ("C", "own", "/group/own"),
    ]


def test_each_callback_says_where_it_comes_from():
    above = Callback("error", "email", {"to": "ada"}, inherited=True)
    middle = Callback("done", "email", {"to": "bob"}, inherited=True)
    own = Callback("error", "retry", {"max_num_retries": 2})
    chain = [
        NodeSpec("/a/b", NodeType.EXEC, callbacks=(own, middle, above)),
        NodeSpec("/a", NodeType.SERIAL, handed_down=(middle, above)),
        NodeSpec("/", NodeType.SERIAL, handed_down=(above,)),
    ]

    found = provenance.callbacks(chain)

    assert [(one.event, one.name, one.source) for one in found] == [
        ("error", "retry", "/a/b"),
        ("done", "email", "/a"),
        ("error", "email", "/"),
    ]
    assert found[1].arguments == {"to": "bob"}


def test_changed_values_are_marked(root):
    edits = {"/group/plain": {"cpu": 7, "image_name": None, "__env__X": "1"}}
    chain = chain_of(root, "/group/plain", edits)
    names = provenance.edited_names(edits["/group/plain"])

    found = {one.name: one for one in provenance.parameters(chain, names)}

    assert names == {"cpu", "image", "env"}
    assert (found["cpu"].value, found["cpu"].source, found["cpu"].modified) == (
        7,
        "/group/plain",
        True,
    )
    assert found["image"].modified
    assert not found["mem"].modified
