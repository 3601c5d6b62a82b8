"""Resource usage of an attempt, in its charts: while it runs, afterwards, and if unknown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import conducto as co
from conducto.tree.launch_form import to_launch_form
from support.browser import agent_api, viewer_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from support.browser import Viewer
    from support.running import Person

pytestmark = [pytest.mark.web, pytest.mark.docker]

BURN = "python3 -c 'x = bytearray(100 << 20)\nwhile True: pass'"
WORDS = re.compile(r"^[\d.]+ of 1 CPU on average, 1\d\d MB of 512 MB at peak$")


def burning(person: Person, command: str = BURN) -> str:
    tree = to_launch_form(co.Exec(command, image="python:3.11-slim", cpu=1, mem=0.5))
    body = {"tree": tree, "run": True, "engine": "docker"}
    return agent_api(person, "/pipelines", "POST", body)["pipeline"]["id"]


def attempts_of(viewer: Viewer, run: str) -> Page:
    page = viewer.node(run, "/")
    page.get_by_role("tab", name="History").click()
    return page


def test_usage_of_an_attempt_is_drawn_while_it_runs_and_afterwards(viewer: Viewer) -> None:
    run = burning(viewer.person)
    page = attempts_of(viewer, run)
    charts = page.get_by_role("figure", name="Resource use of attempt 1")

    expect(charts.locator("figcaption")).to_have_text(WORDS, timeout=40_000)
    expect(charts.locator("svg")).to_have_count(2)
    before = charts.locator(".ResourceCharts-area").first.get_attribute("d") or ""
    expect(charts.locator(".ResourceCharts-area").first).not_to_have_attribute("d", before)

    order = {"action": "kill", "paths": ["/"]}
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", order)
    expect(page.locator(".AttemptsTab-attempt").get_by_text("killed").first).to_be_visible()
    page.reload()
    page.get_by_role("tab", name="History").click()
    expect(charts.locator("figcaption")).to_have_text(WORDS)


def test_quick_attempt_is_neither_measured_nor_drawn(viewer: Viewer) -> None:
    run = burning(viewer.person, "true")
    asked: list[str] = []
    viewer.page.on("request", lambda one: asked.append(one.url))
    page = attempts_of(viewer, run)

    expect(page.locator(".AttemptsTab-attempt").get_by_text("done").first).to_be_visible()
    expect(page.get_by_role("figure")).to_have_count(0)
    page.reload()
    asked.clear()
    page.get_by_role("tab", name="History").click()
    expect(page.locator(".AttemptsTab-facts")).to_contain_text("ran")
    assert [url for url in asked if "/resources" in url] == []


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_charts_are_accessible_and_fit_on_a_phone(
    person: Person, browser: Browser, theme: str
) -> None:
    run = burning(person, f"timeout 6 {BURN}; true")
    size = {"width": 360, "height": 740}
    with viewer_of(person, browser, viewport=size, color_scheme=theme) as viewer:
        page = attempts_of(viewer, run)

        expect(page.locator(".ResourceCharts-resources figcaption")).to_have_text(
            WORDS, timeout=40_000
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert viewer.axe() == []
