"""Git triggers in a browser: the GitHub App, a test, the history of deliveries, and an approval."""

from __future__ import annotations

import os
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from conducto_core.run.model.params import NoParams
from conducto_core.triggers.model import GithubAppCode, GithubAppRequest
from conducto_core.triggers.operations import FINISH_GITHUB_APP, START_GITHUB_APP
from conducto_emulator.emulator import Emulator
from conducto_emulator.resources import Options
from support.browser import AXE, TIMEOUT_MS
from support.cloud.emulated import Cloud
from support.git_provider import GitHost, git_host
from support.webhooks import SHA, github_headers, github_pull_request, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.web

CONFIG = "[push]\ncommand = python pipeline.py {branch}\n[pr]\ncommand = x\nfilter = 1 == 2\n"
#: A directory for pictures of the pages.
PICTURES = os.environ.get("LOOKS")


@pytest.fixture
def host() -> Iterator[GitHost]:
    with git_host() as one:
        one.files["acme/app", SHA, ".conducto.cfg"] = CONFIG
        one.refs["acme/app", "main"] = SHA
        yield one


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    made = Emulator(Options(tmp_path_factory.mktemp("emulator") / "files"))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def cloud(emulator: Emulator, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """An organisation of its own."""
    made = Cloud(emulator, "acme" if "approves" in request.node.name else "other")
    yield made
    made.close()


@pytest.fixture
def page(cloud: Cloud, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 800})
    context.set_default_timeout(TIMEOUT_MS)
    made = context.new_page()
    made.goto(cloud.emulator.page)
    made.get_by_label("Code or token").fill(cloud.token)
    made.get_by_role("button", name="Sign in", exact=True).click()
    expect(made.get_by_role("heading", name="Pipelines")).to_be_visible()
    yield made
    context.close()


def check(page: Page, name: str) -> None:
    """Check a page with axe, and take pictures of it."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    if not PICTURES:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.screenshot(path=Path(PICTURES) / f"{name}.{theme}.{width}.png")
    page.set_viewport_size({"width": 1440, "height": 800})


def create_app(cloud: Cloud, host: GitHost) -> None:
    request = GithubAppRequest(title="Acme", host=host.url, redirect="http://127.0.0.1:1/")
    begun = cloud.client.call(START_GITHUB_APP, NoParams(), request)
    _, location = host.apps.create(
        begun.address.removeprefix(host.url), {"manifest": [begun.manifest]}
    )
    code = location.partition("?code=")[2].partition("&")[0]
    cloud.client.call(FINISH_GITHUB_APP, NoParams(), GithubAppCode(code=code, state=begun.state))
    host.apps.installed["acme/app"] = 7


def deliver_fork(cloud: Cloud, host: GitHost) -> None:
    payload: dict[str, Any] = github_pull_request(fork=True)
    repository = {"id": 1, "full_name": "acme/app", "clone_url": f"{host.url}/acme/app.git"}
    payload["repository"] = payload["pull_request"]["base"]["repo"] = repository
    payload["pull_request"]["head"]["repo"]["clone_url"] = f"{host.url}/eve/app.git"
    host.files["acme/app", SHA, ".conducto.cfg"] = CONFIG
    body = packed(payload)
    (app,) = host.apps.apps.values()
    headers = github_headers("pull_request", body, secret=app.webhook_secret)
    url = f"{cloud.emulator.url}/api/v1/hooks/acme~~github"
    request = urllib.request.Request(url, body, {**headers, "content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 202


def test_trigger_is_added_tried_and_approves_a_fork(
    cloud: Cloud, host: GitHost, page: Page
) -> None:
    page.goto(f"{cloud.emulator.page}/triggers")
    expect(page.get_by_text("No triggers")).to_be_visible()
    check(page, "triggers-empty")
    create_app(cloud, host)
    page.reload()
    page.get_by_role("button", name="Add trigger").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Repository", exact=True).fill("https://github.com/acme/app")
    form.get_by_label("Pull requests from forks").select_option("approve")
    form.get_by_label("Wait for room in the plan").select_option("3 days")
    expect(form.get_by_label("Name", exact=True)).to_have_value("app")
    check(page, "trigger-add")
    form.get_by_role("button", name="Add trigger").click()
    expect(form.get_by_role("alert")).to_contain_text("the GitHub App is at")
    form.get_by_label("Repository", exact=True).fill(f"{host.url}/acme/app")
    form.get_by_role("button", name="Add trigger").click()

    expect(page.get_by_role("heading", name="app", exact=True)).to_be_visible()
    expect(page.get_by_text("Wait for room in the plan: 3d 0h")).to_be_visible()
    page.get_by_role("button", name="Test without launching").click()
    expect(page.get_by_role("status").first).to_contain_text("[push] would launch at aaaaaaaaaa")
    page.get_by_label("Branch", exact=True).fill("gone")
    page.get_by_role("button", name="Test without launching").click()
    expect(page.get_by_text("Nothing would be launched")).to_be_visible()

    deliver_fork(cloud, host)
    approve = page.get_by_role("button", name="Approve feature")
    expect(approve).to_be_visible()
    check(page, "trigger")
    approve.click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("without secrets")
    question.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("cell", name="the filter of [pr] does not match")).to_be_visible()
    check(page, "trigger-delivery")

    page.get_by_role("link", name="All triggers").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("GitHub App")
    check(page, "triggers")
    page.get_by_role("link", name="app", exact=True).click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No triggers")).to_be_visible()


def test_webhook_of_a_trigger_with_a_token_is_shown_once(
    cloud: Cloud, host: GitHost, page: Page
) -> None:
    page.goto(f"{cloud.emulator.page}/triggers")
    page.get_by_role("button", name="Add trigger").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Repository", exact=True).fill("https://github.com/acme/app")
    form.get_by_label("Token", exact=True).fill("token")
    form.get_by_role("button", name="Add trigger").click()
    shown = page.get_by_role("dialog", name="Create a webhook for app")
    expect(shown).to_contain_text("/api/v1/hooks/other~app")
    check(page, "trigger-webhook")
    shown.get_by_role("button", name="Close").click()
    expect(page.get_by_text("No webhook has arrived yet")).to_be_visible()
