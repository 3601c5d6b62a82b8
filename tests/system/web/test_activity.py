"""The page Activity, in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

SCRIPT = """
import conducto as co

def wait() -> co.Parallel:
    root = co.Parallel(max_concurrent=1, cpu=0.1, mem=0.1)
    for name in ("first", "second", "third"):
        root[name] = co.Exec("sleep 600")
    return root

co.main(default=wait)
"""

RETRY = """
import conducto as co

def flaky() -> co.Parallel:
    root = co.Parallel(cpu=0.1, mem=0.1)
    for name in ("near", "far"):
        root[name] = co.Exec("exit 3", retry=co.retry(2, delay=600))
    return root

co.main(default=flaky)
"""

USUAL = """
import conducto as co

def quick(slow: bool = False) -> co.Parallel:
    root = co.Parallel(cpu=0.1, mem=0.1)
    root["work"] = co.Serial()
    root["work/copy"] = co.Exec("echo copied 1 of 9 parts; sleep " + ("600" if slow else "0.2"))
    if slow:
        root["ask"] = co.Approve("Release it?")
    return root

co.main(default=quick)
"""


def test_activity_shows_running_commands_and_the_reasons_of_waits(viewer: Viewer) -> None:
    script = viewer.person.base / "wait.py"
    script.write_text(SCRIPT)
    words = ["wait", "--local", "--engine", "process", "--run", "--detach"]
    done = viewer.person._start([str(script), *words])
    assert done.returncode == 0, done.stdout + done.stderr
    pipeline = str(done.stdout.split()[1])
    page = viewer.open("/")

    page.get_by_role("link", name="Activity").click()

    running = page.get_by_role("region", name="Running")
    waiting = page.get_by_role("region", name="Waiting")
    expect(running).to_contain_text("/first")
    expect(running).to_contain_text(pipeline)
    expect(waiting).to_contain_text("max_concurrent=1 of / is reached")
    waiting.get_by_role("link", name="/second").click()
    expect(page.get_by_role("heading", name="second")).to_be_visible()
    viewer.person.conducto("kill", pipeline)
    page.goto(f"{page.url.split('/p/')[0]}/activity")
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible()


def test_activity_counts_down_to_retries_and_starts_them_at_once(viewer: Viewer) -> None:
    script = viewer.person.base / "flaky.py"
    script.write_text(RETRY)
    words = ["flaky", "--local", "--engine", "process", "--run", "--detach"]
    done = viewer.person._start([str(script), *words])
    assert done.returncode == 0, done.stdout + done.stderr
    page = viewer.open("/activity")
    waiting = page.get_by_role("region", name="Waiting")

    expect(waiting).to_contain_text("waiting for a retry, after a failure")
    expect(waiting).to_contain_text("/near in 9m")
    expect(waiting).to_contain_text("retry in 9m")
    expect(page.get_by_text("0 commands run, 2 wait.")).to_be_visible()
    pipeline = str(done.stdout.split()[1])
    waiting.get_by_role("button", name="Retry").click()
    eventually(
        lambda: (
            len(agent_api(viewer.person, f"/pipelines/{pipeline}/attempts?path=/near")["attempts"])
            == 2
        )
    )
    viewer.person.conducto("kill", pipeline)
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible()


def test_activity_compares_with_usual_times_and_kills(viewer: Viewer) -> None:
    script = viewer.person.base / "usual.py"
    script.write_text(USUAL)
    words = ["--local", "--engine", "process", "--run"]
    for _ in range(2):
        assert viewer.person._start([str(script), "quick", *words]).returncode == 0
    slow = ["quick", "--slow", *words, "--detach"]
    done = viewer.person._start([str(script), *slow])
    assert done.returncode == 0, done.stdout + done.stderr
    page = viewer.open("/activity")
    running = page.get_by_role("region", name="Running")
    waiting = page.get_by_role("region", name="Waiting")

    expect(running).to_contain_text("usually 0.")
    expect(running).to_contain_text("copied 1 of 9 parts")
    expect(waiting.get_by_text("Release it?")).to_be_visible()
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    row = page.get_by_role("treeitem", name=re.compile("copy"))
    expect(row).to_contain_text("usually 0.")
    expect(page.get_by_role("treeitem", name=re.compile("ask"))).to_contain_text("approval")
    page.get_by_role("link", name="Activity").click()
    waiting.get_by_role("button", name="Approve /ask").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(waiting).to_contain_text("No command waits.")
    page.keyboard.press("/")
    page.keyboard.type("release")
    expect(running).to_contain_text("None matches")
    page.get_by_label("Search commands").fill("")
    page.get_by_role("heading", name="Activity").click()
    row = running.get_by_role("link", name="/work/copy")
    expect(row).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(row).to_be_focused()
    page.keyboard.press("k")
    page.get_by_role("dialog").get_by_role("button", name="Kill").press("Escape")
    expect(row).to_be_focused()
    page.keyboard.press("k")
    page.get_by_role("dialog").get_by_role("button", name="Kill").click()
    expect(page.get_by_text("Nothing runs and nothing waits")).to_be_visible()
