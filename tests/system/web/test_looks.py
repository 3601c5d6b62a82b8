"""Every page in every state fits, keeps still while it loads, and says nothing to the console.

``LOOKS=directory`` leaves pictures there, in both themes (``make looks``); without it each state is
opened in one of the two, by turns. ``-k`` chooses some of them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.browser import launched_person, viewer_of
from system.web.looks import LOOKS, PAGES, Look, World, bring_about, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from support.browser import Viewer

pytestmark = pytest.mark.web

PICTURES = os.environ.get("LOOKS")
THEMES = ("light", "dark")
CASES = [
    (look, theme)
    for place, look in enumerate(LOOKS)
    for theme in (THEMES if PICTURES else THEMES[place % 2 :][:1])
]
#: Widths in px, with the heights that go with them: a phone, a tablet, a laptop, a wall.
SIZES = {360: 740, 390: 844, 768: 1024, 1440: 900, 3840: 2160}
FIRST = 1440
#: What the browser itself notes of calls that got no good answer.
NOTED = ("Failed to load resource", "WebSocket connection to")
#: Nothing is wider than its page, nor is the part of it that scrolls, nor the links of the top.
FITS = """() => [
      document.documentElement,
      ...document.querySelectorAll('.App-main, .Dialog-dialog, .App-app nav'),
    ]
    .filter((one) => one.scrollWidth > one.clientWidth)
    .map((one) => `${one.className || 'page'}: ${one.scrollWidth} > ${one.clientWidth}`)"""
#: Texts that are cut without a sign that there is more of them.
CUT = """() => [...document.querySelectorAll('.App-app *, .Dialog-dialog *')]
    .filter((one) => {
      const style = getComputedStyle(one);
      return ['hidden', 'clip'].includes(style.overflowX) && style.textOverflow !== 'ellipsis'
        && one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 1;
    })
    .map((one) => `${one.tagName} ${one.className}: ${one.textContent.slice(0, 60)}`)"""
#: Layout shifts without an action of the user: their sum, and what moved.
SHIFTS = """() => new Promise((resolve) => {
  const found = { sum: 0, moved: [] };
  new PerformanceObserver((list) => {
    for (const shift of list.getEntries().filter((one) => !one.hadRecentInput)) {
      found.sum += shift.value;
      for (const { node, previousRect: from, currentRect: to } of shift.sources)
        found.moved.push(`${node?.className ?? node?.nodeName} y ${from.y} to ${to.y}`);
    }
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve(found), 50);
})"""
#: Maximum sum of layout shifts. Pages load without any; some are left for fonts and rounding.
STILL = 0.02
#: Parts that are not loaded; those below them are invisible until then.
PENDING = "[data-pending]"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with launched_person(tmp_path_factory.mktemp("looks")) as someone:
        world = World(someone)
        fill(world)
        yield world


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with launched_person(tmp_path_factory.mktemp("nothing")) as someone:
        yield World(someone)


def case(look: Look, theme: str) -> object:
    """Return a case; of states that look alike on every page, CI sees two pages."""
    page, _, state = look.name.partition("-")
    is_alike = state in ("loading", "offline", "lost") and page not in ("pipelines", "pipeline")
    marks = [pytest.mark.long] if is_alike else []
    return pytest.param(look, theme, id=f"{look.name}-{theme}", marks=marks)


@pytest.mark.parametrize(("look", "theme"), [case(look, theme) for look, theme in CASES])
def test_page_fits_is_stable_and_logs_no_error(
    look: Look, theme: str, full: World, empty: World, browser: Browser
) -> None:
    world = full if look.world == "full" else empty
    size = {"width": FIRST, "height": SIZES[FIRST]}
    with viewer_of(world.person, browser, color_scheme=theme, viewport=size) as viewer:
        page = bring_about(viewer, look, world)
        if look.response == "real":
            page.wait_for_selector(PENDING, state="detached")
        shifts = page.evaluate(SHIFTS)
        wrong = [f"shifts by {shifts}"] if shifts["sum"] > STILL else []
        wrong += [f"axe: {one}" for one in viewer.axe()]
        for width in SIZES:
            wrong += [f"{width} px: {one}" for one in _wrong_at(page, look, theme, width)]
        wrong += [f"console: {one}" for one in _said(viewer, look)]
        page.unroute_all(behavior="ignoreErrors")
    assert wrong == [], "\n".join(wrong)


def _wrong_at(page: Page, look: Look, theme: str, width: int) -> list[str]:
    page.set_viewport_size({"width": width, "height": SIZES[width]})
    wrong = [*page.evaluate(FITS), *(f"cut: {one}" for one in page.evaluate(CUT))]
    if PICTURES is not None:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        target = Path(PICTURES) / f"{look.name}.{theme}.{width}.png"
        page.screenshot(path=str(target), animations="disabled")
    return wrong


def _said(viewer: Viewer, look: Look) -> list[str]:
    refused = ("unknown", "expired")
    if look.response == "real" and not look.name.startswith(refused):
        return viewer.said
    return [text for text in viewer.said if not text.startswith(NOTED)]


#: The element that has the focus, or null; and whether the focus is visible: a frame, in view.
FOCUS = """() => {
  const active = document.activeElement;
  if (active === null || active === document.body) return null;
  const one = document.getElementById(active.getAttribute('aria-activedescendant')) ?? active;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const framed = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const inView = box.width > 0 && box.bottom > 0 && box.top < innerHeight
    && box.right > 0 && box.left < innerWidth;
  const words = one.getAttribute('aria-label') ?? one.textContent;
  return { name: `${one.tagName} ${one.className}: ${words.slice(0, 40)}`, seen: framed && inView };
}"""
#: Stops that are enough to have come past everything but the rows of a long list.
STOPS = 45


@pytest.mark.parametrize("name", [*PAGES, "settings", "node-output"])
def test_every_stop_of_the_tab_key_is_seen(name: str, full: World, browser: Browser) -> None:
    (look,) = (one for one in LOOKS if one.name == name)
    with viewer_of(full.person, browser) as viewer:
        page = bring_about(viewer, look, full)
        # Parts that arrive later would have no stops yet: the last one seen would end the walk.
        page.wait_for_selector(PENDING, state="detached")
        stops = []
        for _ in range(STOPS):
            page.keyboard.press("Tab")
            stop = page.evaluate(FOCUS)
            if stop is None:
                break
            stops.append(stop)
        assert len(stops) > 5
        assert [stop["name"] for stop in stops if not stop["seen"]] == []
