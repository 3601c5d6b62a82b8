"""Limits of trees; a larger tree is rejected with its node before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from conducto.errors import DefinitionError
from conducto.wire import limits
from conducto_core.limits.rules import check_exec
from conducto_core.tree.model import NodeSpec
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from support.trees import IMAGES, form, lazy, leaf, parallel, serial


def chain(levels: int, name: str = "n") -> dict[str, Any]:
    """A tree of that many levels below its root."""
    nodes = [{"id": str(i), "type": "Serial", "image_name": "i"} for i in range(levels)]
    nodes.append({"id": str(levels), "type": "Exec", "command": "true"})
    edges = [[str(i), str(i + 1), name] for i in range(levels)]
    return {"nodes": nodes, "edges": edges, "images": IMAGES}


def crowd(count: int) -> dict[str, Any]:
    """A form of equal nodes; it is rejected before any of them is read."""
    return {"nodes": [{"id": "0", "type": "Exec"}] * count, "edges": [], "images": IMAGES}


def wrong(tree: dict[str, Any]) -> DefinitionError:
    with pytest.raises(DefinitionError) as raised:
        resolve(tree)
    return raised.value


def test_tree_at_the_limit_is_accepted() -> None:
    name = "é" * (limits.MAX_NAME_BYTES // 2)

    assert [n.path for n in resolve(form(serial(name))).execs()] == [f"/{name}"]
    assert len(resolve(chain(limits.MAX_LEVELS)).nodes) == limits.MAX_LEVELS + 1
    full = limits.MAX_PATH_BYTES // 512
    assert len(resolve(chain(full, "x" * 511)).nodes[f"/{'x' * 511}" * full].path) == 512 * full


def test_a_long_name_is_refused_at_its_parent_and_shown_in_part() -> None:
    error = wrong(form(serial(parallel("é" * limits.MAX_NAME_BYTES, name="p"))))

    assert error.path == "/p"
    assert str(error).startswith(f"/p: a child's name is {2 * limits.MAX_NAME_BYTES} bytes long")
    assert len(str(error)) < 700


def test_too_many_levels_are_refused_at_the_last_that_may_be() -> None:
    error = wrong(chain(limits.MAX_LEVELS + 1))

    assert error.path == "/n" * limits.MAX_LEVELS
    assert "the tree has more than 8,000 levels here; put nodes beside each other" in str(error)
    assert len(str(error)) < 700


def test_a_long_path_is_refused_above_it() -> None:
    full = limits.MAX_PATH_BYTES // 512
    error = wrong(chain(full + 1, "x" * 511))

    assert error.path == f"/{'x' * 511}" * full
    assert f"a path below it is {512 * (full + 1)} bytes long, at most 16384" in str(error)


def test_too_many_nodes_are_refused() -> None:
    text = str(wrong(crowd(limits.MAX_NODES + 1)))

    assert text.startswith("/: the pipeline would have 1,000,001 nodes, at most 1,000,000")


def test_generated_tree_counts_towards_the_limit_with_existing_nodes() -> None:
    """Root, Generate and its Serial stay; Execute is replaced."""
    pipeline = resolve(form(serial(lazy("l"))))

    with pytest.raises(DefinitionError, match=r"^/l/Execute: the pipeline would have 1,000,001"):
        resolve_generated(crowd(limits.MAX_NODES - 2), "/l/Execute", pipeline)
    with pytest.raises(DefinitionError, match="two nodes have the same id"):
        resolve_generated(crowd(limits.MAX_NODES - 3), "/l/Execute", pipeline)


def test_a_generated_tree_may_not_be_deeper_in_its_place() -> None:
    pipeline = resolve(form(serial(lazy("l"))))

    with pytest.raises(DefinitionError, match="more than 8,000 levels"):
        resolve_generated(chain(limits.MAX_LEVELS - 1), "/l/Execute", pipeline)
    made = resolve_generated(chain(limits.MAX_LEVELS - 2), "/l/Execute", pipeline)
    assert len(made.nodes) == limits.MAX_LEVELS - 1


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (leaf("x", command="x" * limits.MAX_CLOUD_COMMAND_BYTES), None),
        (
            leaf("x", command="x" * (limits.MAX_CLOUD_COMMAND_BYTES + 1)),
            (
                "/x: command is 1048577 bytes long, at most 1048576 are accepted; "
                "put it into a file of the image, or run the pipeline locally"
            ),
        ),
    ],
)
def test_the_cloud_takes_shorter_commands(node: dict[str, Any], message: str | None) -> None:
    (found,) = resolve(form(serial(node))).execs()

    assert told_by_the_cloud(found) == message


def test_the_cloud_takes_paths_that_fit_into_a_url() -> None:
    """Each "é" is six bytes of a URL."""
    fits, too_long = (resolve(form(serial(serial("é" * n, name="é" * 340)))) for n in (341, 342))

    assert [told_by_the_cloud(node) for node in fits.execs()] == [None]
    (message,) = [told_by_the_cloud(node) for node in too_long.execs()]
    assert message is not None
    assert "the path is 4098 bytes long in a URL, the cloud accepts at most 4096" in message


def told_by_the_cloud(node: NodeSpec) -> str | None:
    try:
        check_exec(node)
    except DefinitionError as error:
        return str(error)
    return None
