"""Schedules: from a finished pipeline to its history, in a real browser."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import Viewer

pytestmark = pytest.mark.web

SCRIPT = """
import conducto as co

def load() -> co.Exec:
    return co.Exec("true")

co.main(default=load)
"""
#: A directory for pictures of the pages.
PICTURES = os.environ.get("LOOKS")


def picture(page: Page, name: str) -> None:
    if not PICTURES:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=Path(PICTURES) / f"{name}.{theme}.{width}.png")
    page.set_viewport_size({"width": 1600, "height": 900})


def test_finished_pipeline_is_scheduled_in_two_clicks_and_fires(viewer: Viewer) -> None:
    script = viewer.person.base / "load.py"
    script.write_text(SCRIPT)
    words = ["load", "--local", "--engine", "process", "--run", "--detach"]
    done = viewer.person._start([str(script), *words])
    assert done.returncode == 0, done.stdout + done.stderr
    first = str(done.stdout.split()[1])
    page = viewer.open(f"/p/{first}/timeline")
    page.set_viewport_size({"width": 1600, "height": 900})
    expect(page.locator(".PipelineHead-head")).to_contain_text("1 done")

    page.get_by_role("button", name="Schedule", exact=True).click()
    form = page.get_by_role("dialog")
    expect(form).to_contain_text("At 02:00")
    picture(page, "create")
    cron = form.get_by_label("Cron expression")
    cron.fill("0 0 30 2 *")
    expect(form.get_by_role("alert")).to_contain_text("the field day of month is not valid")
    cron.fill("30 2 * * 1-5")
    expect(form).to_contain_text("At 02:30, Monday through Friday")
    form.get_by_role("button", name="Create").click()

    expect(page).to_have_url(re.compile(f"/schedules/daily-{first}$"))
    expect(page.get_by_role("listitem")).to_have_count(5)
    page.get_by_role("button", name="Fire now").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text(re.compile("Launched.*by hand"))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert viewer.axe() == []
    picture(page, "schedule")
    page.get_by_role("link", name="All schedules").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Paused")
    assert viewer.axe() == []
    picture(page, "schedules")
    agent_api(viewer.person, f"/schedules/daily-{first}", "DELETE")
    expect(page.get_by_text("No schedules")).to_be_visible()
    page.get_by_role("button", name="Add schedule").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Pipeline that is launched again")).to_contain_text("load.py load")
    picture(page, "add")
    form.get_by_role("button", name="Create").click()
    expect(page.get_by_role("button", name="Fire now")).to_be_visible()
    assert all("422" in one for one in viewer.said)
    viewer.said.clear()
