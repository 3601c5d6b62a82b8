"""The page survives lost style sheets, changed networks, and an agent that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from conducto_web import app_folder
from support.browser import agent_api, choose, eventually, launched_person, viewer_of
from system.web.scripts import QUICK, SLOW, launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Request, Route

    from support.browser import Viewer

pytestmark = pytest.mark.web
#: The names of the style sheets that are applied.
APPLIED = """() => [...document.styleSheets]
    .map(({ href }) => href?.split("/").at(-1)).filter((name) => name !== undefined)"""
#: Parts that are not loaded ahead of time.
RARE = ("Tour-", "WaitingApprovals-")
#: Seconds in which networks are created and removed.
NETWORKS_SECONDS = 60


#: Records each banner and each part that could not be loaded.
NOTE_OUTAGES = """() => {
  window.outages = [];
  new MutationObserver(() => {
    const found = document.querySelector(".Banner-banner, .EmptyState-empty[role=alert]");
    if (found !== null) window.outages.push(found.textContent);
  }).observe(document.body, { childList: true, subtree: true });
}"""
#: Goes to another page of the app without loading it again.
GO = """(address) => {
  history.pushState(null, "", address);
  dispatchEvent(new PopStateEvent("popstate"));
}"""


def abort_once(page: Page, pattern: str) -> set[str]:
    """Abort the first request of each address. Return the addresses, which grow."""
    aborted: set[str] = set()

    def once(route: Route) -> None:
        address = route.request.url
        if address in aborted:
            route.continue_()
        else:
            aborted.add(address)
            route.abort("connectionreset")

    page.route(re.compile(pattern), once)
    return aborted


def test_each_style_sheet_that_is_lost_once_is_applied(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.page
    aborted = abort_once(page, r"\.css$")
    viewer.open(f"/p/{run}/timeline")
    expect(page.get_by_role("treeitem").first).to_be_visible()
    # The part is not shown before its own style sheet is applied.
    assert any(name.startswith("TimelinePage") for name in page.evaluate(APPLIED))
    every = {
        one.name for one in (app_folder() / "assets").glob("*.css") if not one.name.startswith(RARE)
    }
    eventually(lambda: set(page.evaluate(APPLIED)) >= every, seconds=60)
    assert {address.rsplit("/", 1)[1] for address in aborted} >= every
    viewer.said.clear()  # the browser notes every request that was aborted


def test_each_script_that_is_lost_once_is_loaded(viewer: Viewer) -> None:
    page = viewer.open("/settings")
    abort_once(page, r"/assets/(SecretsPage|SchedulesPage)-[^/]+\.js$")
    page.get_by_role("link", name="Secrets").click()
    expect(page.get_by_role("heading", name="Secrets", level=1)).to_be_visible()
    page.get_by_role("link", name="Schedules").click()
    expect(page.get_by_role("heading", name="Schedules", level=1)).to_be_visible()
    viewer.said.clear()  # the browser notes every request that was aborted


def test_page_stays_online_while_networks_change(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW)
    page = viewer.open(f"/p/{run}")
    expect(page.locator("[data-row='/slow']")).to_contain_text("running")
    page.evaluate(NOTE_OUTAGES)
    name = f"conducto-web-test-{os.getpid()}"
    end = time.monotonic() + NETWORKS_SECONDS
    views = [f"/p/{run}", f"/p/{run}/timeline", f"/p/{run}?node=%2F&tab=output", "/activity", "/"]
    rounds = 0
    while time.monotonic() < end:
        for verb in ("create", "rm"):
            subprocess.run(["docker", "network", verb, name], check=True, capture_output=True)
        if rounds % 5 == 0:  # new pages and parts load meanwhile
            address = views[rounds // 5 % len(views)]
            page.evaluate(GO, address)
        rounds += 1
    assert rounds > 0
    assert page.evaluate("window.outages") == []
    viewer.open(f"/p/{run}")
    expect(page.locator("[data-row='/slow']")).to_contain_text("running")


@pytest.fixture
def own_viewer(browser: Browser, tmp_path: Path) -> Iterator[Viewer]:
    """A page of an agent that the test may kill."""
    with launched_person(tmp_path) as person, viewer_of(person, browser, tour=True) as one:
        yield one


def kill_agent(viewer: Viewer) -> None:
    """Kill the agent's process, as a crash would."""
    file = viewer.person.base / viewer.person.profile / "agent" / "agent.json"
    os.kill(json.loads(file.read_text())["pid"], signal.SIGKILL)


def test_page_and_its_change_survive_a_killed_agent(own_viewer: Viewer) -> None:
    person, page = own_viewer.person, own_viewer.page
    run = launch(person, SLOW)
    own_viewer.node(run, "/after")
    expect(page.locator("[class^=Tour-]").first).to_be_visible()
    page.reload()  # the tour is shown once
    page.get_by_role("button", name="Node actions", exact=True).click()  # its code is loaded
    expect(page.get_by_role("menuitem", name="Skip")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".NodeHeader-state")).to_contain_text("pending")
    kill_agent(own_viewer)
    banner = page.locator(".Banner-banner")
    expect(banner).to_contain_text(re.compile(r"has not answered for \d+s\. *Next try in \ds"))
    sent: list[Request] = []
    page.on("request", lambda one: sent.append(one) if one.method == "POST" else None)
    choose(page, "Node actions", "Skip")
    notices = page.locator(".Toasts-list")
    expect(notices).to_contain_text("Not confirmed: the agent has not answered to “skip”")
    low, high = banner.bounding_box(), notices.locator("> *").first.bounding_box()
    assert low is not None
    assert high is not None
    assert low["y"] >= high["y"] + high["height"]
    person.ask("agent", "start")
    expect(banner).to_have_count(0)
    expect(notices).not_to_contain_text("Not confirmed")
    (node,) = agent_api(person, f"/pipelines/{run}/tree?root=/after&depth=0")["nodes"]
    assert node["skipped"]
    clicks = {one.post_data for one in sent}
    assert len(sent) > len(clicks)
    assert len({one.headers["idempotency-key"] for one in sent}) == len(clicks)
    agent_api(person, f"/pipelines/{run}/control", "POST", {"action": "sleep"})


def test_every_page_survives_lost_requests_and_a_killed_agent(own_viewer: Viewer) -> None:
    person, page = own_viewer.person, own_viewer.page
    run = launch(person, SLOW)
    own_viewer.open(f"/p/{run}")
    program = page.locator("a[href^='/program']").first.get_attribute("href")
    tabs = ("overview", "output", "history", "details")
    pages = [
        *("/", "/activity", "/schedules", "/notifications", "/data", "/secrets", "/agent"),
        *(f"/p/{run}{part}" for part in ("", "/timeline", "/tests", "/images", "/data")),
        *(f"/p/{run}?node=%2F&tab={tab}" for tab in tabs),
        *(f"/p/{run}?node=%2Fslow&tab={tab}" for tab in ("history", "details")),
        str(program),
    ]
    failed = page.locator("[role=alert]")
    shown = page.locator("main h1, main h2, main [role=treeitem], main [role=log]").first
    abort_once(page, r"/api/v1/(?!events)")
    for address in pages:
        page.evaluate(GO, address)
        expect(shown).to_be_visible()
        expect(failed).to_have_count(0)
    page.unroute_all(behavior="ignoreErrors")
    kill_agent(own_viewer)
    expect(page.locator(".Banner-banner")).to_contain_text("has not answered")
    for address in pages:
        page.evaluate(GO, address)
        expect(page.locator(".Banner-banner")).to_be_visible()
        expect(page.locator("main")).not_to_be_empty()
    person.ask("agent", "start")
    expect(page.locator(".Banner-banner")).to_have_count(0)
    for address in pages:
        page.evaluate(GO, address)
        expect(shown).to_be_visible()
        expect(failed).to_have_count(0)
    agent_api(person, f"/pipelines/{run}/control", "POST", {"action": "sleep"})
    own_viewer.said.clear()  # the browser notes every request that was aborted


def test_search_of_a_group_continues_after_lost_requests(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"])
    page = viewer.open(f"/p/{run}?node=%2F&tab=output")
    page.route(re.compile("/output"), lambda route: route.abort("connectionreset"))
    page.get_by_label("Search the output of all commands").fill("boom")
    page.keyboard.press("Enter")
    status = page.locator(".MergedTab-truth")
    expect(status).to_contain_text(re.compile(r"Not yet: \d.*trying again"))
    expect(page.get_by_text("No matching lines")).to_have_count(0)
    page.unroute_all(behavior="ignoreErrors")
    expect(status).to_contain_text("3 of 3 searched")
    expect(page.get_by_role("log")).to_contain_text("boom: no such thing")
    expect(status).not_to_contain_text("Not yet")
    viewer.said.clear()  # the browser notes every request that was aborted
