"""The main use of the app: see a pipeline run, find the failure, fix it, see it continue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest
from playwright.sync_api import expect

from support.browser import choose, compare_attempts, environment_of, kill
from system.web.scripts import MENDABLE, QUICK, SLOW, launch

if TYPE_CHECKING:
    from support.browser import Viewer

#: Text in the red of the terminal.
RED = ".LogLines-text span[style*='ansi-1)']"

pytestmark = pytest.mark.web


def row(viewer: Viewer, name: str):
    return viewer.page.get_by_role("treeitem").filter(has_text=name).first


def state(viewer: Viewer, words: str) -> None:
    expect(viewer.page.locator(".NodeHeader-state")).to_contain_text(words)


def test_failure_is_found_fixed_and_the_pipeline_continues_by_itself(viewer: Viewer) -> None:
    run = launch(viewer.person, MENDABLE, engine="docker")
    page = viewer.open("/")
    page.get_by_role("link").filter(has_text=run).click()
    expect(page).to_have_url(f"{viewer.url}/p/{run}")
    expect(page.get_by_role("treeitem").filter(has_text="publish")).to_be_visible()
    expect(page.locator(".TreePane-failures")).to_contain_text("1 failed", timeout=60_000)

    page.get_by_role("button", name="Next failure").click()
    state(viewer, "failed, exit 1")
    expect(page.locator(".LogLines-lines")).to_contain_text("because of 1")
    expect(page.locator(".LogLines-lines")).to_contain_text("testing 1")  # one output by time
    page.get_by_role("button", name="stdout").click()
    expect(page.locator(".LogLines-text")).to_have_text("testing 1")
    expect(row(viewer, "publish")).to_contain_text("pending")

    choose(page, "Node actions", "Modify")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Command").fill("echo mended")
    dialog.get_by_role("button", name="Check").click()
    expect(dialog.get_by_role("status")).to_contain_text("1 command")
    dialog.get_by_role("button", name="Modify and rerun").click()

    state(viewer, "done")
    expect(row(viewer, "publish")).to_contain_text("done", timeout=60_000)
    expect(page.locator(".PipelineHead-head")).to_contain_text("4 done")
    # The earlier attempt is kept, and the differences are shown.
    compare_attempts(page)
    expect(page.get_by_role("region", name="Differences", exact=True)).to_contain_text(
        "echo mended"
    )


def test_rejected_values_are_explained_in_the_dialog(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW, run=False)
    page = viewer.node(run, "/slow")
    choose(page, "Node actions", "Modify")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("CPU").fill("-1")
    dialog.get_by_role("button", name="Check").click()
    expect(dialog.get_by_role("alert")).to_contain_text("cpu")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    viewer.said.clear()  # the browser notes every refused request


def test_a_failed_node_is_skipped_and_the_rest_runs(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.node(run, "/bad")
    state(viewer, "failed, exit 3")
    choose(page, "Node actions", "Skip")
    expect(row(viewer, "after")).to_contain_text("done")
    page.get_by_role("button", name="Node actions").click()
    expect(page.get_by_role("menuitem", name="Unskip")).to_be_visible()


def test_a_running_node_is_killed(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW)
    page = viewer.node(run, "/slow")
    state(viewer, "running")
    expect(page.locator(".LogLines-lines")).to_contain_text("begun")
    kill(page)
    state(viewer, "killed by user")


def test_the_debug_command_that_is_copied_opens_a_shell_in_the_nodes_image(viewer: Viewer) -> None:
    run = launch(viewer.person, MENDABLE, engine="docker")
    page = viewer.node(run, "/tests/test1")
    expect(page.locator(".TreePane-failures")).to_contain_text("1 failed", timeout=60_000)
    choose(page, "Debug", "Copy debug command")
    command = page.evaluate("navigator.clipboard.readText()")
    assert command == f"conducto debug {run} /tests/test1"

    here = str(Path(sys.executable).parent)
    env = environment_of(viewer.person)
    shell = pexpect.spawn(
        "sh", ["-c", command], env={**env, "PATH": f"{here}:{env['PATH']}"}, timeout=60
    )
    shell.expect(r"[#$] ")
    shell.sendline("sh /cmd.conducto; echo code=$?")
    shell.expect("testing 1")
    shell.expect("code=1")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()


def test_the_main_flow_needs_no_mouse(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".TreePane-failures")).to_contain_text("1 failed")
    expect(page.get_by_role("tree")).to_be_focused()
    page.keyboard.press("n")
    state(viewer, "failed, exit 3")
    page.keyboard.press("ArrowDown")  # the failed node is the first
    expect(page.get_by_role("heading", name="good")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="a", exact=True)).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("r")
    page.get_by_role("dialog").get_by_role("heading", name="Rerun 1 command?").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Timeline").focus()
    page.keyboard.press("e")  # keys act in the tree and the node only
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("tree").focus()
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Command")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("echo typed")
    main = dialog.get_by_role("button", name="Modify and rerun")
    while not main.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    state(viewer, "done")
    expect(row(viewer, "after")).to_contain_text("done")
    page.keyboard.press("/")
    page.keyboard.type("echo typed")
    expect(page.get_by_role("listbox", name="Matching nodes").get_by_role("option")).to_have_count(
        1
    )
    page.keyboard.press("Escape")
    expect(page.get_by_role("tree")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("search the tree")


def test_a_log_is_searched_and_the_address_leads_back_to_the_node(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.node(run, "/good/b")
    expect(page.locator(".LogLines-lines")).to_contain_text("300")
    expect(page.locator(RED)).to_have_count(0)  # the end is shown, the red line is far above
    page.get_by_label("Search output").fill("red")
    expect(page.locator(".LogLines-found")).to_contain_text("red")
    expect(page.locator(RED)).to_have_text("red")
    page.reload()
    expect(page.get_by_role("heading", name="b", exact=True)).to_be_visible()
    expect(row(viewer, "b")).to_be_visible()  # its group is done, and open for it
    page.get_by_role("link", name="good").click()
    expect(page.get_by_role("heading", name="good")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="b", exact=True)).to_be_visible()


def test_the_tour_of_a_newcomer_covers_nothing_on_a_phone(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("localStorage.setItem('conducto.tour', 'due')")
    viewer.open(f"/p/{run}?node=%2Fbad")
    tour = page.get_by_role("region", name="First steps")
    expect(tour).to_contain_text("1 of 3")
    state(viewer, "failed, exit 3")
    bar = tour.bounding_box()
    pane = page.locator("[data-node-pane]").bounding_box()
    assert bar is not None
    assert pane is not None
    assert bar["y"] + bar["height"] <= pane["y"]
    # A click that something else would catch fails.
    page.get_by_role("button", name="Node actions", exact=True).click(timeout=5000)
    page.get_by_role("menuitem", name="Skip").click()
    state(viewer, "skipped")
    expect(tour).to_be_visible()
    page.get_by_role("tab", name="Details").click(timeout=5000)
    assert viewer.axe() == []
    for _ in range(2):
        tour.get_by_role("button", name="Next").click()
    tour.get_by_role("button", name="Done").click()
    expect(tour).to_have_count(0)
