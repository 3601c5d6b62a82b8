"""The page of the plan: a free organisation reaches its limit, pays, and later fails to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import conducto as co
from conducto_core.run.model.states import State
from conducto_emulator.emulator import Emulator
from conducto_emulator.resources import Options
from conducto_emulator.stripe.server import EmulatedBilling
from support.browser import AXE, TIMEOUT_MS
from support.cloud.emulated import Cloud
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.web, pytest.mark.long]  # a minute, with real workers

MONTH = 31 * 86_400.0
FAILING_CARD = "4000 0000 0000 0341"
LEAVES = ("/a", "/b", "/c", "/d")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Cloud]:
    ensure(["busybox:latest", "python:3.13-slim"])
    emulator = Emulator(Options(tmp_path / "files", minute=10.0, billing=EmulatedBilling))
    try:
        emulator.start()
        made = Cloud(emulator, "acme")
        yield made
        made.close()
    finally:
        emulator.close()


@pytest.fixture
def page(shop: Cloud, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(TIMEOUT_MS)
    made = context.new_page()
    made.goto(shop.emulator.page)
    made.get_by_label("Code or token").fill(shop.token)
    made.get_by_role("button", name="Sign in", exact=True).click()
    expect(made.get_by_role("heading", name="Pipelines")).to_be_visible()
    yield made
    context.close()


def plan_page(page: Page, shop: Cloud) -> None:
    page.goto(f"{shop.emulator.page}/organisation/plan")
    expect(page.get_by_role("heading", name="Plan and usage")).to_be_visible()


def shows(page: Page, text: str) -> None:
    """Check a text of the page; reload until it has arrived."""
    for _ in range(20):
        page.reload()
        page.get_by_role("heading", name="Your plan").wait_for()
        if text in page.get_by_role("main").inner_text():
            return
    raise AssertionError(page.get_by_role("main").inner_text())


def test_organisation_pays_scales_out_and_falls_back_without_loss(shop: Cloud, page: Page) -> None:
    root = co.Parallel(image="busybox:latest")
    for path in LEAVES:
        root[path[1:]] = co.Exec("until test -e /conducto/data/pipeline/go; do sleep 1; done")
    run = shop.launch(root)
    run.until(lambda: list(run.states().values()).count("running") >= 2, "two commands run")

    plan_page(page, shop)
    shows(page, "free, yours")
    shows(page, "2 of 2 workers run now")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({violations}) => violations.map(({id}) => id))")
    assert found == []
    page.get_by_role("button", name="Enable billing").click()
    page.get_by_role("button", name="Subscribe").click()
    expect(page.get_by_role("heading", name="Plan and usage")).to_be_visible()
    shows(page, "scale, yours")
    run.until(lambda: all(run.states()[path] == "running" for path in LEAVES), "it scales out")
    page.get_by_role("button", name="Set a limit").click()
    page.get_by_label("Maximum dollars in a period, without tax").fill("50")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The spend limit is stored")).to_be_visible()
    expect(page.get_by_text("No command starts. Nodes wait and say why.")).to_be_visible()
    expect(page.get_by_role("button", name="Change limit")).to_be_visible()
    run.client.write_data(run.id, "go", b"x")
    run.settled()
    assert run.client.get(run.id).state is State.DONE

    page.get_by_role("button", name="Invoices and payment").click()
    page.get_by_label("Card number").fill(FAILING_CARD)
    page.get_by_role("button", name="Update card").click()
    assert shop.emulator.stripe is not None
    shop.emulator.stripe.account.advance(MONTH)
    plan_page(page, shop)
    expect(page.get_by_role("alert")).to_contain_text("The last payment failed")
    (subscription,) = shop.emulator.stripe.account.all("subscription")
    shop.emulator.stripe.account.set_status(subscription, "unpaid")
    shows(page, "free, yours")
    assert run.client.get(run.id).state is State.DONE
    assert set(run.states().values()) == {"done"}
