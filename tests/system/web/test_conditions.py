"""A node that its condition skipped, in the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from system.web.scripts import launch

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

SKIPPING = """
    with co.Serial() as root:
        check = co.Exec("printf 1 > $CONDUCTO_RUN_DIR/result", name="check")
        co.Exec("true", name="deploy", run_if=check.result == 2)
        co.Approve("Go on?", name="ask")
"""


def test_the_page_of_a_skipped_node_names_the_value_that_decided(viewer: Viewer) -> None:
    run = launch(viewer.person, SKIPPING)

    page = viewer.node(run, "/deploy")

    expect(page.get_by_text("Skipped: run_if is false: result(/check) is 1")).to_be_visible()
    assert viewer.axe() == []
