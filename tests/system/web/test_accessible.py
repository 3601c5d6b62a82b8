"""axe finds nothing serious on any page, in both themes; it works on a phone.

CI looks at one theme here; the cases of `test_looks` alternate between both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import choose, viewer_of
from system.web.scripts import QUICK, SLOW, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from support.running import Person

pytestmark = pytest.mark.web


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_pages_of_a_pipeline_have_no_serious_accessibility_fault(
    person: Person, browser: Browser, theme: str
) -> None:
    run, waiting = launch(person, QUICK), launch(person, SLOW, run=False)
    with viewer_of(person, browser, color_scheme=theme) as viewer:
        page = viewer.page
        found = {"list": viewer.axe()}

        viewer.node(run, "/bad")
        expect(page.locator(".LogLines-lines")).to_contain_text("boom")
        found["output"] = viewer.axe()
        page.get_by_role("tab", name="History").click()
        found["attempts"] = viewer.axe()
        page.get_by_role("tab", name="Details").click()
        expect(page.get_by_text("Parameters")).to_be_visible()
        found["details"] = viewer.axe()
        choose(page, "Node actions", "Modify")
        expect(page.get_by_role("dialog").get_by_label("Command")).to_be_visible()
        found["modify"] = viewer.axe()

        viewer.open(f"/p/{run}")
        expect(page.get_by_role("heading", name="1 of 4 commands failed")).to_be_visible()
        found["overview"] = viewer.axe()
        page.get_by_label("Search paths and commands").fill("echo")
        expect(
            page.get_by_role("listbox", name="Matching nodes").get_by_role("option").first
        ).to_be_visible()
        found["search"] = viewer.axe()
        viewer.node(waiting, "/slow")
        expect(page.get_by_text("Not run yet")).to_be_visible()
        found["waiting"] = viewer.axe()
        viewer.open("/nowhere/at/all")
        found["unknown"] = viewer.axe()
    assert {name: ones for name, ones in found.items() if ones} == {}


def test_a_phone_shows_the_tree_then_the_node(person: Person, browser: Browser) -> None:
    run = launch(person, QUICK)
    with viewer_of(person, browser, viewport={"width": 360, "height": 740}) as viewer:
        page = viewer.open(f"/p/{run}")
        page.get_by_role("link", name="Tree").click()
        page.locator("[data-row='/bad']").click()
        expect(page.locator(".LogLines-lines")).to_contain_text("boom")
        expect(page.get_by_role("tree")).to_be_hidden()
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(fits)
        page.get_by_role("button", name="Back to the tree").click()
        expect(page.get_by_role("tree")).to_be_visible()
        viewer.open("/")
        expect(page.get_by_text(run)).to_be_visible()
        assert page.evaluate(fits)


#: Height of the visible part of the output, and the start of its first line, in px; null until the
#: new size is drawn.
OUTPUT = """async () => {
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  const lines = document.querySelector(".LogLines-lines").getBoundingClientRect();
  const first = document.querySelector(".LogLines-line").getBoundingClientRect();
  return [Math.min(innerHeight, lines.bottom) - lines.top, first.top];
}"""


def test_output_is_within_reach_on_every_screen(person: Person, browser: Browser) -> None:
    run = launch(person, QUICK)
    sizes = {"laptop": (1280, 720), "zoomed to 200 %": (640, 360), "landscape": (844, 390)}
    found = {}
    with viewer_of(person, browser) as viewer:
        page = viewer.node(run, "/bad")
        expect(page.locator(".LogLines-lines")).to_contain_text("boom")
        for name, (width, height) in sizes.items():
            page.set_viewport_size({"width": width, "height": height})
            # Crossing a breakpoint mounts the panes again.
            expect(page.locator(".LogLines-line").first).to_be_visible()
            found[name] = page.evaluate(OUTPUT)
        assert page.get_by_role("heading", level=1).all_inner_texts() == ["bad"]
    assert {name: shown for name, (shown, _) in found.items() if shown < 240} == {}
    assert found["laptop"][1] <= 230
