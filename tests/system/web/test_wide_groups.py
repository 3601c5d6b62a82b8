"""Groups of many children: their order, selections of unloaded nodes, and links to them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually, viewer_of
from system.web.scripts import launch, wide

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from support.browser import Viewer

pytestmark = pytest.mark.web

#: The rows of a tree from the top: their names.
_NAMES = """count => [...document.querySelectorAll('.tree-scroll [role=treeitem]')]
  .map(row => [row.getBoundingClientRect().top, row.querySelector('[data-name]')?.textContent])
  .sort((a, b) => a[0] - b[0]).slice(0, count).map(row => row[1])"""
#: The first Exec of a group that is not loaded at first; from `WAITS` on they wait for a file.
LOADED, WAITS = 200, 210


def gated(gate: Path, *, children: int = 300) -> str:
    """Return the body of a group whose `n205` fails and whose last ones run until a signal."""
    wait = f"while [ ! -e '{gate}' ]; do sleep 0.05; done"
    return f"""
    with co.Serial() as root:
        with co.Parallel(name="g"):
            for number in range({children}):
                quick = "false" if number == 205 else "true"
                co.Exec(quick if number < {WAITS} else "{wait}", name=f"n{{number}}")
"""


def many(children: int) -> str:
    return f"""
    with co.Serial() as root:
        with co.Parallel(name="g"):
            for number in range({children}):
                co.Exec("true", name=f"n{{number}}")
        co.Exec("true", name="after")
"""


def rows(page: Page, count: int) -> list[str | None]:
    return page.evaluate(_NAMES, count)


def row(page: Page, name: str) -> Locator:
    exactly = re.compile(f"^{name}$")
    return page.get_by_role("treeitem").filter(has=page.locator("[data-name]", has_text=exactly))


def numbers(names: list[str | None]) -> list[int]:
    return [int(name.removeprefix("n")) for name in names if name is not None]


def test_failed_running_and_queued_nodes_come_first_and_return_when_done(
    viewer: Viewer, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    run = launch(viewer.person, gated(gate))
    asked: list[str] = []
    ordering = re.compile("root=%2Fg&.*state=")  # the overview of the root asks every few seconds
    viewer.page.on(
        "request", lambda one: asked.append(one.url) if ordering.search(one.url) else None
    )
    page = viewer.open(f"/p/{run}")
    expect(row(page, "n205")).to_contain_text("exit 1", timeout=60_000)
    facts = page.locator(".PipelineHead-head")
    expect(facts).to_contain_text("209 done", timeout=60_000)

    def arranged() -> bool:
        failed, runs, *others = rows(page, 12)[2:]
        later = numbers([runs, *others])
        return failed == "n205" and later == sorted(later) and later[0] >= WAITS

    eventually(arranged)
    assert page.locator("[data-row]", has_text="running").count() >= 1
    before = len(asked)
    page.wait_for_timeout(3000)
    assert len(asked) - before <= 3  # idle nodes are not requested again and again

    gate.touch()
    expect(facts).to_contain_text("299 done", timeout=60_000)
    eventually(lambda: rows(page, 3)[2:] == ["n205"])
    fold = page.get_by_role("treeitem", name="299 done", exact=True)
    expect(fold).to_have_attribute("aria-expanded", "false")
    fold.click()
    eventually(lambda: rows(page, 6)[2:] == ["n205", None, "n0", "n1"])


def test_visible_rows_stay_in_place_when_others_come_first(viewer: Viewer, tmp_path: Path) -> None:
    (gate := tmp_path / "gate").touch()
    run = launch(viewer.person, gated(gate))
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("299 done", timeout=60_000)
    page.get_by_role("treeitem", name="299 done", exact=True).click()
    eventually(lambda: rows(page, 6)[2:] == ["n205", None, "n0", "n1"])
    page.locator(".tree-scroll").evaluate("box => { box.scrollTop = 28 * 100 }")
    place = row(page, "n100").bounding_box()
    assert place is not None

    gate.unlink()
    again = [f"/g/n{number}" for number in range(240, 250)]
    agent_api(
        viewer.person, f"/pipelines/{run}/control", "POST", {"action": "reset", "paths": again}
    )
    eventually(lambda: page.locator(".tree-scroll").evaluate("box => box.scrollTop") > 28 * 100)
    expect(row(page, "n100")).to_be_visible()
    assert row(page, "n100").bounding_box() == place
    page.locator(".tree-scroll").evaluate("box => { box.scrollTop = 0 }")
    eventually(lambda: numbers(rows(page, 4)[3:])[0] >= 240)


def test_range_contains_unloaded_nodes_and_is_acted_on_at_once(viewer: Viewer) -> None:
    run = launch(viewer.person, many(1500), run=False)
    page = viewer.open(f"/p/{run}")
    expect(row(page, "g")).to_be_visible()
    row(page, "g").dblclick()
    expect(row(page, "n5")).to_be_visible()
    page.get_by_role("tree").press("End")
    expect(page).to_have_url(re.compile("node=%2Fafter"))
    page.locator(".tree-scroll").evaluate("box => { box.scrollTop = 0 }")
    row(page, "n5").click(modifiers=["Shift"])
    selected = page.get_by_role("toolbar", name="Selected nodes")
    expect(selected.get_by_role("status")).to_have_text("1,496 selected")
    assert viewer.axe() == []

    actions: list[str] = []
    page.on("request", lambda one: actions.append(one.post_data or "") if one.post_data else None)
    selected.get_by_role("button", name="Skip").click()
    page.get_by_role("dialog").get_by_role("button", name="Skip 1,496 commands").click()
    expect(page.get_by_text("Skipped 1,496 commands")).to_be_visible()
    preview, order = map(json.loads, actions)
    assert preview["preview"]
    paths = ["/after", *(f"/g/n{number}" for number in range(5, 1500))]
    assert sorted(order["paths"]) == sorted(paths)
    assert agent_api(viewer.person, f"/pipelines/{run}")["counts"]["skipped"] == 1496


def test_a_range_ends_with_a_node_that_was_found(viewer: Viewer) -> None:
    run = launch(viewer.person, many(1500), run=False)
    page = viewer.node(run, "/g/n700")
    expect(page.get_by_role("heading", name="n700")).to_be_visible()
    row(page, "n10").click(modifiers=["Shift"])
    selected = page.get_by_role("toolbar", name="Selected nodes")
    expect(selected.get_by_role("status")).to_have_text("691 selected")


def test_a_link_shows_the_groups_as_they_were_opened_and_closed(
    viewer: Viewer, browser: Browser
) -> None:
    run = launch(viewer.person, wide(60, 3))
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("3 failed", timeout=60_000)
    expect(row(page, "g0")).to_have_attribute("aria-expanded", "true")
    steps = page.evaluate("history.length")
    row(page, "g0").locator(".NodeRow-twist").click()
    expect(page).to_have_url(re.compile("closed=%2Fg0$"))
    row(page, "g1").locator(".NodeRow-twist").click()
    expect(page).to_have_url(re.compile("closed=%2Fg0%2F%2Fg1$"))
    assert page.evaluate("history.length") == steps
    with viewer_of(viewer.person, browser) as other:
        other.page.goto(page.url)
        expect(row(other.page, "g2")).to_have_attribute("aria-expanded", "true")
        for name in ("g0", "g1"):
            expect(row(other.page, name)).to_have_attribute("aria-expanded", "false")
        # A link to a node keeps closed groups above it closed.
        other.page.goto(f"{page.url}&node=/g1/n3")
        expect(other.page.get_by_role("heading", name="n3")).to_be_visible()
        expect(row(other.page, "g1")).to_have_attribute("aria-expanded", "false")
        assert other.said == []
    page.get_by_role("button", name="View").click()
    page.get_by_role("menuitem", name="Open failures").click()
    expect(page).not_to_have_url(re.compile("closed="))
