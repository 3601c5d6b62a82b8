"""An approval in the app: its question, its form, and the kept decision."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually
from system.web.scripts import launch

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

ASKING = """
    with co.Serial() as root:
        co.Approve("Release 2.1 to\\nall customers?", who=["admin", "anna"], name="ask")
        co.Approve("Really?", name="again")
"""


def test_the_list_of_pipelines_leads_to_the_nodes_that_wait(viewer: Viewer) -> None:
    launch(viewer.person, ASKING)
    page = viewer.open()
    waiting = page.get_by_role("region", name="Waiting for your approval")
    expect(waiting).to_contain_text("/ask")
    assert viewer.axe() == []

    waiting.get_by_role("link", name="Release 2.1 to all customers?").click()

    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def test_timeline_has_the_wait_for_approval_after_a_reload(viewer: Viewer) -> None:
    run = launch(viewer.person, ASKING)
    page = viewer.open(f"/p/{run}/timeline")
    row = page.get_by_role("treeitem", name=re.compile("ask"))

    expect(row).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    legend = page.get_by_role("list", name="Legend").bounding_box()
    actions = page.get_by_role("button", name="Cancel").bounding_box()
    assert legend is not None
    assert actions is not None
    assert legend["y"] + legend["height"] <= actions["y"]


def test_question_that_is_asked_again_shows_the_change_and_is_decided_as_shown(
    viewer: Viewer,
) -> None:
    run = launch(viewer.person, ASKING)
    page = viewer.node(run, "/ask")
    panel = page.get_by_role("region", name="Approval")
    expect(panel.get_by_role("button", name="Approve")).to_be_visible()

    changes = {"action": "modify", "paths": ["/again"], "changes": {"doc": "other"}}
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", changes)

    expect(panel).to_contain_text("Asked again: withdrawn after a change:")
    expect(panel).to_contain_text("modified /again")
    panel.get_by_role("button", name="Approve").click()
    expect(panel).to_contain_text("Approved by")


def test_a_person_approves_and_rejects_with_a_comment(viewer: Viewer) -> None:
    run = launch(viewer.person, ASKING)
    page = viewer.node(run, "/ask")  # opening the link changes nothing
    panel = page.get_by_role("region", name="Approval")
    expect(panel).to_contain_text("Release 2.1 to\nall customers?")
    expect(panel).to_contain_text("Decided by: admin, anna")
    expect(page.get_by_text("waits for the approval of admin, anna").first).to_be_visible()
    assert viewer.axe() == []

    panel.get_by_label("Comment").fill("the tests are green")
    panel.get_by_role("button", name="Approve").click()

    expect(panel).to_contain_text("Approved by")
    expect(panel).to_contain_text("the tests are green")

    page = viewer.node(run, "/again")
    panel = page.get_by_role("region", name="Approval")
    panel.get_by_role("button", name="Reject").click()

    expect(panel).to_contain_text("Rejected by")
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["state"] == "error")


FORM = """
    with co.Serial() as root:
        co.Approve(
            "Release?",
            fields={"version": str, "canary": 10, "region": ["eu", "us"], "notify": False},
            name="ask",
        )
"""


def test_a_person_fills_in_the_form_of_an_approval(viewer: Viewer) -> None:
    run = launch(viewer.person, FORM)
    page = viewer.node(run, "/ask")
    panel = page.get_by_role("region", name="Approval")
    panel.get_by_role("button", name="Approve").click()
    expect(panel.get_by_role("alert")).to_contain_text("version has no value; give a text")
    assert viewer.axe() == []
    viewer.said.clear()  # the browser notes every request that was refused

    panel.get_by_label("version").fill("2.1")
    panel.get_by_label("region").select_option("us")
    panel.get_by_role("button", name="Approve").click()

    expect(panel).to_contain_text("Approved by")
    expect(panel.get_by_text("canary").locator("..")).to_contain_text("10")
    expect(panel.get_by_text("region").locator("..")).to_contain_text("us")
