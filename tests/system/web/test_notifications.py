"""Notification rules: added with a form for each channel, tried and removed, in a browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.services import web_service

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from support.browser import Viewer

pytestmark = pytest.mark.web

#: A directory for pictures of the pages.
PICTURES = os.environ.get("LOOKS")


def picture(page: Page, name: str) -> None:
    if not PICTURES:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=Path(PICTURES) / f"{name}.{theme}.{width}.png")
    page.set_viewport_size({"width": 1440, "height": 800})


def test_rule_is_added_tried_and_removed(viewer: Viewer) -> None:
    page = viewer.open("/notifications")
    expect(page.get_by_text("No notification rules")).to_be_visible()
    picture(page, "rules-empty")
    page.get_by_role("button", name="Add rule").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("ops")
    channel = form.get_by_role("combobox")
    channel.select_option("mail")
    expect(form.get_by_label("Address")).to_be_visible()
    channel.select_option("github")
    expect(form.get_by_text("The commit that a git trigger")).to_be_visible()
    channel.select_option("webhook")
    with web_service() as receiver:
        form.get_by_label("URL").fill(receiver.url)
        form.get_by_label("Start").check()
        for event in ("Start", "Failure", "Fixed"):
            form.get_by_label(event, exact=True).uncheck()
        form.get_by_role("button", name="Store").click()
        expect(form.get_by_role("alert")).to_contain_text("Choose at least one event")
        form.get_by_label("Failed again").check()
        picture(page, "rule-add")
        assert viewer.axe() == []
        form.get_by_role("button", name="Store").click()
        expect(page.get_by_role("row").nth(1)).to_contain_text("Failed again")
        page.get_by_role("button", name="Test ops").click()
        expect(page.get_by_text("The test message of ops was accepted")).to_be_visible()

        assert receiver.asked[0].body["text"].strip() == (
            "The rule ops works: its messages arrive here."
        )
    page.get_by_role("button", name="Test ops").click()
    expect(page.get_by_text("ops was not sent")).to_be_visible()
    picture(page, "rules")
    assert viewer.axe() == []
    page.get_by_role("button", name="Remove ops").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No notification rules")).to_be_visible()
