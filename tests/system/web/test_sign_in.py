"""People with accounts: invitation, sign-up, launch from the command line, sign-out."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import TIMEOUT_MS
from support.running import CONDUCTO, Person
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.web

SCRIPT = """
import conducto as co

def greeting() -> co.Serial:
    with co.Serial(image="python:3.11-slim") as root:
        co.Exec("echo hello", name="hello")
    return root

if __name__ == "__main__":
    co.main(default=greeting)
"""
EMAIL, PASSWORD = "ann@example.com", "a long password"


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    ensure(["python:3.11-slim", "python:3.13-slim"])
    person = Person(tmp_path_factory.mktemp("admin"))
    try:
        person.ask("cloud-emulator", "up", "--identity")
        yield person
    finally:
        person.conducto("cloud-emulator", "down")


def opened(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(TIMEOUT_MS)
    return context


def site_of(admin: Person) -> str:
    port = admin.ask("cloud-emulator", "status").stdout.split(",")[0].rpartition(":")[2]
    return f"http://127.0.0.1:{port}"


def invitation_for(email: str, admin: Person, browser: Browser, site: str) -> str:
    """Invite somebody on the page of the members; return the link."""
    context = opened(browser)
    page = context.new_page()
    page.goto(site)
    page.get_by_role("button", name="Use a token").click()
    token = admin.ask("cloud-emulator", "token").stdout.strip()
    page.get_by_label("Code or token").fill(token)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("link", name="Organisation").click()
    page.get_by_role("button", name="Invite").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Create invitation").click()
    link = page.get_by_label("link", exact=True).inner_text().strip()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("row", name=email)).to_be_visible()
    context.close()
    return link


def signed_in(page: Page, email: str = EMAIL) -> None:
    """Sign in, or up, on the page of the provider."""
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()


def logged_in(person: Person, page: Page, site: str) -> str:
    """Log a command line in with the browser of a page; return what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", CONDUCTO, "login", "--url", site],
        env=person.environment(BROWSER="", DISPLAY="", WAYLAND_DISPLAY=""),
        cwd=person.base,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    address = next(found for line in process.stderr if (found := re.search(r"http\S+#\S+", line)))
    page.goto(address[0])
    page.get_by_role("button", name="Sign in the command line").click()
    signed_in(page)
    expect(page.get_by_text("The command line is signed in")).to_be_visible()
    return process.communicate(timeout=60)[0]


def test_invited_person_signs_up_launches_and_signs_out(
    admin: Person, browser: Browser, tmp_path: Path
) -> None:
    site = site_of(admin)
    link = invitation_for(EMAIL, admin, browser, site)
    context = opened(browser)
    page = context.new_page()

    page.goto(link)
    page.get_by_role("button", name="Accept the invitation").click()
    signed_in(page)
    expect(page.get_by_role("heading", name="Pipelines")).to_be_visible()
    assert link.partition("#")[2] not in page.content()
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_text("ann", exact=True)).to_be_visible()

    ann = Person(tmp_path)
    assert "as ann of local" in logged_in(ann, context.new_page(), site)
    (tmp_path / "greeting.py").write_text(SCRIPT)
    launched = ann.run(tmp_path / "greeting.py", side="cloud")
    assert launched.code == 0, launched.stderr
    page.get_by_role("link", name="Pipelines").click()
    expect(page.get_by_text("greeting.py greeting").first).to_be_visible()

    page.get_by_role("link", name="Account").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    context.close()


def test_others_get_nothing_with_the_link_or_with_an_account(
    admin: Person, browser: Browser
) -> None:
    site = site_of(admin)
    link = invitation_for("bob@example.com", admin, browser, site)
    invitation_for("eve@example.com", admin, browser, site)
    context = opened(browser)
    page = context.new_page()

    page.goto(link)
    page.get_by_role("button", name="Accept the invitation").click()
    signed_in(page, "eve@example.com")
    expect(page.get_by_role("alert")).to_contain_text("another e-mail address")

    page.goto(site)
    page.get_by_role("button", name="Sign in", exact=True).click()
    signed_in(page, "eve@example.com")
    expect(page.get_by_role("alert")).to_contain_text("not a member")
    context.close()


def test_address_without_an_invitation_cannot_create_an_account(
    admin: Person, browser: Browser
) -> None:
    context = opened(browser)
    page = context.new_page()

    page.goto(site_of(admin))
    page.get_by_role("button", name="Sign in", exact=True).click()
    signed_in(page, "mallory@example.com")

    expect(page.get_by_role("alert")).to_contain_text("the address has no invitation")
    context.close()
