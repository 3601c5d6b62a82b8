"""Commands from the cache, stale ones, and the cost of each pipeline, in the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually
from system.web.scripts import launch

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

#: The last command changes a file that the one before it has read.
CACHED = """
    raw = "/conducto/data/pipeline/raw"
    with co.Serial(image="python:3.11-slim", title="Reuse and cost") as root:
        co.Exec("echo built", name="build", cache=True)
        co.Exec(f"mkdir -p {raw}; test -e {raw}/a || echo 1 > {raw}/a", name="fetch")
        co.Exec(f"cat {raw}/a", name="report", cache=co.Cache(reads=["raw/"]))
        co.Exec(f"echo 2 >> {raw}/a", name="change")
"""


def test_cached_and_stale_commands_are_marked_and_cost_has_a_chart(viewer: Viewer) -> None:
    def settle(pipeline: str) -> None:
        path = f"/pipelines/{pipeline}"
        eventually(lambda: bool(agent_api(viewer.person, path)["settled"]), seconds=120)

    def run() -> str:
        found = launch(viewer.person, CACHED, engine="docker", script_name="cached.py")
        settle(found)
        return found

    first, second = run(), run()

    page = viewer.node(second, "/build")
    expect(page.get_by_role("treeitem", name="build")).to_contain_text(f"from cache {first}")
    expect(page.get_by_role("treeitem", name="build")).to_contain_text("saved ")
    expect(page.locator("[data-node-pane]")).to_contain_text(f"from cache, {first}")
    expect(page.get_by_role("treeitem", name="report")).to_contain_text("stale: raw/a changed")
    assert viewer.axe() == []

    page.goto(f"{viewer.url}/p/{second}/timeline")
    expect(page.get_by_role("list", name="Legend")).to_contain_text("stale")

    page.goto(f"{viewer.url}/p/{second}")
    expect(page.get_by_text("2 commands from the cache")).to_contain_text("saved")
    page.get_by_role("button", name="Rerun 1 stale").click()
    page.get_by_role("dialog").get_by_role("button", name="Rerun").click()
    expect(page.get_by_role("treeitem", name="report")).not_to_contain_text("stale")
    settle(second)  # a chart has only ended pipelines

    page.get_by_role("link", name="Program", exact=True).click()
    bars = page.get_by_role("listbox", name="CPU time of each pipeline").get_by_role("option")
    expect(bars).to_have_count(2)
    expect(page.get_by_label("Cache")).to_contain_text("did not run")
    expect(page.get_by_label("Partitions", exact=True)).to_contain_text("co.daily")
    assert viewer.axe() == []
