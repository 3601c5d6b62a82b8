"""The page Activity, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

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
