"""What only the cloud has: its failures and its waits, each with its words in the app.

An agent never waits for a machine of AWS: the responses of a real one get these causes and waits.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error, expect

from conducto_core.run.model.records import PipelineRecord, Wait
from conducto_core.run.rules import waits
from support.browser import agent_api, eventually
from system.web.scripts import launch

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    from support.browser import Viewer

pytestmark = pytest.mark.web

PICTURES = os.environ.get("LOOKS")
RECORD = PipelineRecord(id="abc-def", title="Cloud", created=0.0)
#: Names of failed commands, with their causes and the words for them.
FAILURES = {
    "budget": ("budget", "killed at its budget"),
    "spend": ("spend_limit", "killed at the spend limit"),
    "capacity": ("no_capacity", "AWS had no machine"),
    "worker": ("no_worker", "no worker"),
    "lost": ("worker_lost", "worker lost"),
    "spot": ("spot", "Spot worker interrupted"),
}
NOW = time.time()
UNTIL = NOW + 3600
#: Names of queued commands, with their waits.
WAITS: dict[str, Wait] = {
    "over": waits.budget(RECORD, "/over", "over budget: $5.10 of $5.00 are spent"),
    "machine": waits.no_capacity(
        "Capacity is unavailable at this time", "Fargate, $0.05 an hour", UNTIL, None
    ),
    "refused": waits.refused_worker("You've reached the limit on tasks", UNTIL),
    "paid": Wait("the spend limit of $50.00 is reached", "spend_limit", holder="the limit"),
}
BODY = f"""
    with co.Serial(stop_on_error=False, cpu=0.1, mem=0.1) as root:
        with co.Parallel(name="failed"):
            for name in {list(FAILURES)}:
                co.Exec("exit 1", name=name)
        with co.Parallel(name="waiting", max_concurrent=1):
            for name in {["running", *WAITS]}:
                co.Exec("sleep 600", name=name)
"""


def as_in_the_cloud(node: dict[str, Any]) -> None:
    """Give a node of the API the cause or the wait of its name."""
    name = node["path"].rpartition("/")[2]
    if name in FAILURES and node["cause"] is not None:
        for each in (node, *node["attempts"]):
            each |= {"cause": FAILURES[name][0]}
        for attempt in node["attempts"]:
            attempt["exit_code"] = None
    if name in WAITS and node["state"] == "queued":
        wait = WAITS[name]
        node |= {"waits_for": wait.text, "wait_kind": wait.kind, "wait_holder": wait.holder}
        node |= {"wait_remedy": wait.remedy, "wait_until": wait.until}


def group_of(pipeline: str, name: str) -> dict[str, Any]:
    wait = WAITS[name]
    first = [{"pipeline": pipeline, "path": f"/waiting/{name}", "until": wait.until}]
    found = {"kind": wait.kind, "text": wait.text, "holder": wait.holder, "since": NOW - 240}
    return {**found, "remedy": wait.remedy, "until": wait.until, "count": 1, "first": first}


def changed(change: Callable[[Any], None]) -> Callable[[Route], None]:
    def handle(route: Route) -> None:
        with suppress(Error):  # the page was left meanwhile
            response = route.fetch()
            body = response.json()
            change(body)
            route.fulfill(response=response, json=body)

    return handle


@pytest.fixture
def page(viewer: Viewer) -> Page:
    def change_tree(body: Any) -> None:
        for node in body["nodes"]:
            as_in_the_cloud(node)

    viewer.page.route(re.compile(r"/tree\?"), changed(change_tree))
    viewer.page.route(re.compile(r"/node\?"), changed(lambda body: as_in_the_cloud(body["node"])))
    return viewer.page


def picture(page: Page, name: str) -> None:
    for theme in ("light", "dark") if PICTURES else ():
        for width, height in ((1440, 900), (390, 844)):
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(500)
            page.screenshot(path=f"{PICTURES}/{name}.{theme}.{width}.png")


def test_each_failure_and_wait_of_the_cloud_has_its_words(viewer: Viewer, page: Page) -> None:
    run = launch(viewer.person, BODY)
    eventually(
        lambda: agent_api(viewer.person, f"/pipelines/{run}")["counts"]["queued"] == len(WAITS)
    )
    viewer.node(run, "/failed/spot")
    for name, (_, words) in FAILURES.items():
        expect(page.locator(f"[data-row='/failed/{name}']")).to_contain_text(words)
    for name, wait in WAITS.items():
        row = page.locator(f"[data-row='/waiting/{name}']")
        expect(row).to_contain_text(wait.text.partition(";")[0])
    expect(page.locator("[data-node-pane]")).to_contain_text("Spot worker interrupted")
    assert viewer.axe() == []
    picture(page, "cloud-failure")

    viewer.node(run, "/waiting/machine")
    pane = page.locator("[data-node-pane]")
    expect(pane).to_contain_text("AWS has no machine")
    assert viewer.axe() == []
    picture(page, "cloud-wait")


def test_activity_has_a_row_for_each_wait_of_the_cloud(viewer: Viewer, page: Page) -> None:
    run = launch(viewer.person, BODY)

    def change_activity(body: Any) -> None:
        body["waits"] = [group_of(run, name) for name in WAITS]

    page.route(re.compile(r"/activity\?"), changed(change_activity))
    viewer.open("/activity")
    waiting = page.get_by_role("region", name="Waiting")
    for wait in WAITS.values():
        expect(waiting).to_contain_text(wait.text)
        if wait.remedy is not None:
            expect(waiting).to_contain_text(wait.remedy)
    expect(waiting.get_by_role("link", name="Open budget")).to_be_visible()
    expect(waiting.get_by_role("link", name="Open plan")).to_be_visible()
    assert viewer.axe() == []
    picture(page, "cloud-activity")
