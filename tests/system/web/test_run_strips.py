"""The list of pipelines tells how the newest runs of each went."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import conducto as co
from support.browser import agent_api, eventually
from system.web.test_overview import post

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

TITLE = "run again and again"


def ended(viewer: Viewer, command: str, title: str = TITLE) -> str:
    """Run one command as a pipeline to its end."""
    run = post(viewer.person, co.Exec(command), title=title, run=True)
    eventually(lambda: bool(agent_api(viewer.person, f"/pipelines/{run}")["settled"]))
    return run


def test_the_list_shows_how_earlier_runs_went_and_leads_to_them(viewer: Viewer) -> None:
    marker = viewer.person.base / "flaky"
    marker.touch()
    first = ended(viewer, f"test -e {marker}")
    marker.unlink()
    failed = ended(viewer, f"test -e {marker}")
    alone = ended(viewer, "true", title="once")
    marker.touch()
    last = ended(viewer, f"test -e {marker}")
    asked: list[str] = []
    viewer.page.on("request", lambda one: asked.append(one.url))
    page = viewer.open("/")
    program = page.get_by_role("region", name=TITLE)
    strip = program.get_by_role("group", name=re.compile(r"Recent runs: 2 of 3 passed, median \d"))

    bars = strip.get_by_role("link")
    expect(bars).to_have_count(3)
    expect(bars.nth(1)).to_have_attribute("title", re.compile(r"^failed, .*s, \d\d:\d\d:\d\d"))
    expect(program).to_contain_text("2 of the last 3 passed, median ")
    expect(program.get_by_role("listitem").first).to_contain_text(f"1 command done{last}")
    expect(program.get_by_role("listitem").nth(1).get_by_role("link")).to_contain_text(failed)
    once = page.get_by_role("region", name="once")
    expect(once).to_contain_text(alone)
    expect(once.get_by_role("group")).to_have_count(0)
    assert {url.partition("?")[0] for url in asked if "/api/" in url} <= {
        f"{viewer.url}/api/v1/pipelines",
        f"{viewer.url}/api/v1/agent",
        f"{viewer.url}/api/v1/approvals",
    }

    bars.nth(2).focus()
    page.keyboard.press("ArrowLeft")
    expect(bars.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/p/{failed}$"))
    expect(page.locator(".PipelineHead-head")).to_contain_text("1 failed")
    page.go_back()
    bars.first.click()
    expect(page).to_have_url(re.compile(f"/p/{first}$"))
    expect(page.locator(".PipelineHead-head")).to_contain_text("1 done")

    page.go_back()
    program.get_by_role("link", name=TITLE, exact=True).click()
    times = page.get_by_role("listbox", name="Time of each pipeline", exact=True)
    expect(times.get_by_role("option")).to_have_count(3)
    expect(page.get_by_role("region", name="Flaky nodes")).to_contain_text("1 of 3")
    comparison = page.get_by_role("region", name="Compare two pipelines")
    expect(comparison).to_contain_text("fixed")
    assert viewer.axe() == []

    times.press("ArrowLeft")
    expect(times.get_by_role("option", selected=True)).to_have_attribute(
        "aria-label", re.compile(f"^{failed}: failed")
    )
    times.press("Enter")
    expect(page).to_have_url(re.compile(f"/p/{failed}$"))
