"""Pages follow events: in bursts, without a connection, after a restart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, choose, eventually, kill, viewer_of
from system.web.scripts import QUICK, SLOW, breakable, launch, wide

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web
MAX_ELEMENTS = 2000
RESET = {"action": "reset", "paths": ["/"], "failed": True}
_FRAMES = """async (count) => {
  for (let frame = 0; frame < count; frame += 1) await new Promise(requestAnimationFrame);
}"""


def elements(viewer: Viewer) -> int:
    return viewer.page.evaluate("document.querySelectorAll('*').length")


def test_a_burst_of_changes_arrives_whole_and_the_page_stays_small(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(400, 3), run=False)
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("1,200 pending")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".PipelineHead-head")).to_contain_text("1,197 done", timeout=120_000)
    expect(page.locator(".PipelineHead-head")).to_contain_text("3 failed")
    counts = agent_api(viewer.person, f"/pipelines/{run}")["counts"]
    assert (counts["done"], counts["error"]) == (1197, 3)
    # Errors are open by themselves, although they are beyond the first page of children.
    expect(page.get_by_role("treeitem").filter(has_text="n398").first).to_be_attached()
    assert elements(viewer) <= MAX_ELEMENTS


def test_failures_that_could_not_be_fetched_are_asked_for_at_the_next_change_only(
    viewer: Viewer,
) -> None:
    run = launch(viewer.person, wide(300, 2))
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"], seconds=90)
    looked: list[str] = []
    page = viewer.page
    page.on("request", lambda one: looked.append(one.url) if "limit=50&" in one.url else None)
    search = re.compile("state=error&limit=50&")
    page.route(search, lambda route: route.abort())
    viewer.open(f"/p/{run}")
    # Children of g0 soon push g1 out of view.
    expect(page.get_by_role("treeitem").filter(has_text="g0").first).to_be_attached()
    page.wait_for_timeout(1000)  # it looks for failures at most twice a second
    page.evaluate(_FRAMES, 60)
    assert 1 <= len(looked) < 10  # the tree's first pages, which come one by one, are changes

    page.unroute(search)
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", RESET)
    expect(page.get_by_role("treeitem").filter(has_text="n298").first).to_be_attached()
    viewer.said.clear()  # the browser notes every request that was refused


def test_failures_after_a_reset_are_loaded_like_earlier_ones(
    viewer: Viewer, tmp_path: Path
) -> None:
    (broken := tmp_path / "broken").write_text("n250")
    run = launch(viewer.person, breakable(300, 2, broken))
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("2 failed", timeout=60_000)
    expect(page.get_by_role("treeitem").filter(has_text="n250").first).to_be_attached()
    broken.write_text("")
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", RESET)
    expect(page.locator(".PipelineHead-head")).to_contain_text("600 done", timeout=60_000)
    broken.write_text("n260")
    order = {"action": "reset", "paths": ["/g0/n260", "/g1/n260"]}
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", order)
    expect(page.locator(".PipelineHead-head")).to_contain_text("2 failed", timeout=60_000)
    expect(page.get_by_role("treeitem").filter(has_text="n260").first).to_be_attached()


def test_failures_far_apart_are_walked_through(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(300, 2))
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".TreePane-failures")).to_contain_text("2 failed", timeout=60_000)
    seen = []
    for _ in range(3):
        before = page.url
        page.keyboard.press("n")
        page.wait_for_function("before => location.href !== before", arg=before)
        seen.append(page.evaluate("new URLSearchParams(location.search).get('node')"))
    assert seen == ["/g0/n298", "/g1/n298", "/g0/n298"]
    page.get_by_label("Search paths and commands").fill("n29")
    expect(
        page.get_by_role("listbox", name="Matching nodes").get_by_role("option").first
    ).to_contain_text("n29")
    page.get_by_label("Filter by state").select_option("error")
    expect(page.get_by_role("listbox", name="Matching nodes").get_by_role("option")).to_have_count(
        2
    )


def test_two_tabs_see_the_same(viewer: Viewer, browser: Browser) -> None:
    run = launch(viewer.person, SLOW)
    viewer.node(run, "/slow")
    with viewer_of(viewer.person, browser) as other:
        other.node(run, "/slow")
        words = ".NodeHeader-state"
        expect(other.page.locator(words)).to_contain_text("running")
        kill(viewer.page)
        expect(viewer.page.locator(words)).to_contain_text("killed")
        expect(other.page.locator(words)).to_contain_text("killed")


def test_page_shows_a_lost_agent_and_reconnects(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.node(run, "/bad")
    expect(page.locator(".NodeHeader-state")).to_contain_text("failed")
    viewer.person.ask("agent", "stop")
    expect(page.locator(".Banner-banner")).to_contain_text("Offline")
    viewer.person.ask("agent", "start")
    expect(page.locator(".Banner-banner")).to_have_count(0)
    choose(page, "Node actions", "Skip")
    expect(page.get_by_role("treeitem").filter(has_text="after")).to_contain_text("done")
    viewer.said.clear()  # the browser notes every connection that it could not make


#: True as soon as the script of a page that is not open is loaded ahead.
AHEAD = """() => performance.getEntriesByType("resource")
    .some(({ name }) => name.includes("/SecretsPage"))"""


def test_a_page_that_was_never_open_survives_being_offline(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.open(f"/p/{run}/images")
    expect(page.get_by_text("Its commands run as plain processes")).to_be_visible()
    viewer.open("/settings")  # it sends no requests of its own
    eventually(lambda: bool(page.evaluate(AHEAD)))
    page.route("**/*", lambda route: route.abort("connectionrefused"))
    banner = page.locator(".Banner-banner")
    expect(banner).to_contain_text("Offline")
    page.get_by_role("link", name="Secrets").click()
    expect(page.get_by_role("heading", name="Secrets", level=1)).to_be_visible()
    page.unroute_all(behavior="ignoreErrors")
    expect(banner).to_have_count(0)
    expect(page.get_by_text("No secrets yet")).to_be_visible()
    viewer.said.clear()  # the browser notes every connection that it could not make


def test_the_list_is_filtered_by_its_address_and_archives_in_bulk(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    other = launch(viewer.person, QUICK)
    page = viewer.open(f"/?text={run}")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
    page.get_by_label("Search pipelines").fill("web_pipeline")
    expect(page.get_by_text(other)).to_be_visible()
    page.get_by_label(f"Select web_pipeline.py web {run}").check()
    page.get_by_role("button", name="Archive").click()
    expect(page.get_by_text(run)).to_have_count(0)
    page.get_by_label("Lifecycle").select_option("archived")
    expect(page.get_by_text(run)).to_be_visible()


def test_browser_without_a_session_is_shown_the_login_command(
    person: Person, browser: Browser
) -> None:
    with viewer_of(person, browser) as viewer:
        viewer.page.context.clear_cookies()
        page = viewer.open("/")
        expect(page.get_by_text("You are signed out")).to_be_visible()
        page.goto(f"{viewer.url}/p/abc-def")
        expect(page.get_by_text("You are signed out")).to_be_visible()


def test_a_lost_session_comes_back_to_the_same_page(person: Person, browser: Browser) -> None:
    run = launch(person, QUICK)
    with viewer_of(person, browser) as viewer:
        page = viewer.open("/")
        expect(page.get_by_text(run)).to_be_visible()
        page.keyboard.press("Control+k")
        page.get_by_role("combobox", name="Command palette").fill(run)
        expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text(run)
        page.keyboard.press("Enter")
        page.locator("[data-row='/bad']").click()
        page.keyboard.press("Control+k")
        page.get_by_role("combobox", name="Command palette").fill("modify")
        expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text("Modify")
        page.keyboard.press("Enter")  # an action on the open node
        expect(page.get_by_role("dialog", name="Modify")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Help")).to_contain_text("next or previous failure")
        page.keyboard.press("Escape")
        page.goto(f"{viewer.url}/p/{run}")
        expect(page.locator("[data-row='/bad']")).to_be_visible()
        cookies = page.context.cookies()
        page.context.clear_cookies()
        page.keyboard.press("Control+k")  # the next request of the page
        expect(page.get_by_text("You are signed out")).to_be_visible()
        expect(page).to_have_url(f"{viewer.url}/p/{run}")
        page.context.add_cookies(cookies)  # as another tab does that signs in
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        expect(page.locator("[data-row='/bad']")).to_be_visible()
