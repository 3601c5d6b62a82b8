"""The form that launches a program again with other parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, choose

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from support.browser import Viewer

pytestmark = pytest.mark.web

SCRIPT = '''
import datetime, enum, sys
import conducto as co

class Env(enum.Enum):
    staging = 1
    production = 2

def nightly(
    depth: int,
    env: Env = Env.staging,
    services: list[str] = ["checkout"],
    since: datetime.date = datetime.date(2026, 11, 1),
    fast: bool = False,
) -> co.Serial:
    """Test it.

    Args:
        depth: Number of databases.
    """
    if depth == 13:
        input("Sure? ")
    root = co.Serial()
    for service in services:
        for number in range(depth):
            root[f"{service}-{number}"] = co.Exec(f"echo {env.name} {fast}")
    return root

co.main(default=nightly)
'''


def launched(viewer: Viewer) -> str:
    script = viewer.person.base / "nightly.py"
    script.write_text(SCRIPT)
    words = ["nightly", "--depth", "1", "--local", "--engine", "process", "--run", "--detach"]
    done = viewer.person._start([str(script), *words])
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout.split()[1])


def test_program_is_launched_again_with_other_parameters(viewer: Viewer) -> None:
    first = launched(viewer)
    page = viewer.open(f"/p/{first}/timeline")
    expect(page.locator(".PipelineHead-head")).to_contain_text("1 done")
    page.get_by_role("button", name="Launch again").click()
    expect(page).to_have_url(re.compile(f"/p/{first}/launch$"))
    depth = page.get_by_label("depth")
    expect(depth).to_have_value("1")
    expect(page.locator("[data-parameter=depth]")).to_contain_text("int, requiredNumber of data")
    assert viewer.axe() == []

    depth.fill("many")
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(depth).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("must be a whole number")

    depth.fill("13")
    page.keyboard.press("Control+Enter")
    failure = page.get_by_role("alert").filter(has_text="The script failed")
    expect(failure).to_contain_text("the script asks for input, which is closed here")
    expect(failure.get_by_role("region", name="Output of the script")).to_contain_text("Sure?")

    depth.fill("2")
    page.get_by_label("env").select_option("production")
    page.get_by_label("services").press_sequentially("orders,")
    page.get_by_role("switch", name="fast").check()
    page.get_by_role("button", name="Show the plan").click()
    expect(page.get_by_role("region", name="Plan")).to_contain_text("4 commands")
    expect(page.get_by_role("region", name=f"Changes since {first}")).to_contain_text("depth 1 → 2")
    page.get_by_role("button", name="Launch", exact=True).click()
    expect(page).to_have_url(re.compile(f"/p/(?!{first})[a-z-]+$"))
    expect(page.locator(".PipelineHead-head")).to_contain_text("4 done")

    again = page.url.rpartition("/")[2]
    record = agent_api(viewer.person, f"/pipelines/{again}")["pipeline"]
    assert record["function"] == "nightly"
    assert record["arguments"] == {
        "depth": "2",
        "env": "production",
        "services": "checkout,orders",
        "since": "2026-11-01",
        "fast": "true",
    }
    (viewer.person.base / "nightly.py").unlink()
    choose(page, "More", "Rerun all")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Launch again").click()
    expect(page.get_by_text("nightly.py no longer exists")).to_be_visible()
    page.get_by_role("button", name="Launch the same tree").click()
    expect(page).to_have_url(re.compile(rf"/p/(?!{again}|{first})[a-z-]+$"))
    expect(page.locator(".PipelineHead-head")).to_contain_text("4 done")


def test_plan_shows_the_price_of_the_organisation_beside_that_of_aws(viewer: Viewer) -> None:
    def billed(route: Route) -> None:
        start = route.fetch().json()
        if start["plan"] is not None:
            start["plan"] |= {"dollars": 0.02, "price": 3.0}
        route.fulfill(json=start)

    page = viewer.open(f"/p/{launched(viewer)}/launch")
    page.route("**/api/v1/program-starts/*", billed)
    page.get_by_role("button", name="Show the plan").click()

    plan = page.get_by_role("region", name="Plan")
    expect(plan).to_contain_text("about $3.00 in the cloud; free on this machine")
    expect(plan).to_contain_text("For workers; $0.0200 at AWS's prices.")
