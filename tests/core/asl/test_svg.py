"""The picture of compiled machines: well formed, complete, and nothing drawn over something."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

import pytest

from conducto_core.asl.rules.compiler import compile_residual
from conducto_core.asl.rules.labels import svg
from conducto_core.asl.rules.naming import Site, node_id
from conducto_core.asl.rules.partition import MAX_SIZE, Size
from conducto_core.asl.rules.states import residual
from conducto_core.run.rules.tree_state import TreeState
from support.asl.random_trees import random_tree
from support.trees import leaf, parallel, pipeline, serial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SITE = Site("us-east-1", "123456789012")
SVG = "{http://www.w3.org/2000/svg}"


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float

    def is_inside(self, other: Box) -> bool:
        return (
            other.x <= self.x
            and other.y <= self.y
            and self.x + self.width <= other.x + other.width
            and self.y + self.height <= other.y + other.height
        )

    def touches(self, other: Box) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def drawn(tree: dict[str, Any], maximum: Size = MAX_SIZE) -> ET.Element:
    plan = pipeline(tree)
    compiled = compile_residual(residual(TreeState(plan)), SITE, maximum=maximum)
    return ET.fromstring(svg(compiled, {node_id(path): path for path in plan.nodes}))


def boxes(element: ET.Element, x: float = 0, y: float = 0) -> Iterator[Box]:
    """Every rectangle with a class, where it is on the page."""
    move = element.get("transform")
    if move is not None:
        dx, dy = move.removeprefix("translate(").removesuffix(")").split()
        x, y = x + float(dx), y + float(dy)
    if element.tag == f"{SVG}rect" and element.get("class"):
        yield Box(x, y, float(element.get("width", 0)), float(element.get("height", 0)))
    for child in element:
        yield from boxes(child, x, y)


def texts(picture: ET.Element) -> list[str]:
    return [text.text or "" for text in picture.iter(f"{SVG}text")]


def test_every_exec_is_in_the_picture() -> None:
    picture = drawn(serial(leaf(), parallel(leaf(), leaf()), leaf()))

    tasks = [r for r in picture.iter(f"{SVG}rect") if r.get("class") == "task"]
    assert len(tasks) == 4
    assert "machine 0: /" in texts(picture)


def test_a_machine_that_runs_others_is_drawn_with_them() -> None:
    picture = drawn(parallel(*(serial(leaf(), leaf()) for _ in range(4))), Size(2, 10_000))

    names = texts(picture)
    assert {"machine 0: /", "run machine 1", "run machine 2"} <= set(names)


def test_a_path_cannot_break_the_picture() -> None:
    plan = pipeline(serial(leaf()))
    compiled = compile_residual(residual(TreeState(plan)), SITE)
    names = {node_id(path): f"{path}</text><script>&" for path in plan.nodes}

    picture = ET.fromstring(svg(compiled, names))

    assert any("</text><script>&" in text for text in texts(picture))
    assert not list(picture.iter(f"{SVG}script"))


def test_long_path_keeps_both_ends_and_has_a_tooltip() -> None:
    plan = pipeline(serial(leaf()))
    compiled = compile_residual(residual(TreeState(plan)), SITE)
    path = "/begin/" + "x" * 200 + "/end"

    picture = ET.fromstring(svg(compiled, {node_id(p): path for p in plan.nodes}))

    assert any(t.startswith("/begin/") and "…" in t and t.endswith("/end") for t in texts(picture))
    assert path in [title.text for title in picture.iter(f"{SVG}title")]


def test_many_branches_wrap() -> None:
    picture = drawn(parallel(*(leaf() for _ in range(400))))

    width, height = float(picture.get("width", 0)), float(picture.get("height", 0))
    assert width < 4 * height
    assert height < 4 * width


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_apart_or_one_in_the_other_and_on_the_page(seed: int) -> None:
    rng = Random(seed)
    picture = drawn(random_tree(rng), rng.choice([MAX_SIZE, Size(3, 10_000)]))

    page = Box(0, 0, float(picture.get("width", 0)), float(picture.get("height", 0)))
    found = list(boxes(picture))
    assert found
    assert all(box.is_inside(page) for box in found)
    for i, one in enumerate(found):
        for other in found[i + 1 :]:
            nested = one.is_inside(other) or other.is_inside(one)
            assert nested or not one.touches(other), (one, other)


def test_the_same_machines_give_the_same_picture() -> None:
    first, second = (ET.tostring(drawn(random_tree(Random(7)))) for _ in range(2))

    assert first == second
