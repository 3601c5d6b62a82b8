"""A user who views pipelines in a real browser, with an agent of their own."""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from conducto_cli.target.web_page import forwarding_file
from conducto_core.run.model.responses import Login
from conducto_web import app_folder
from support.running import Person, person_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
#: Disables requests of the browser itself, since there is no network.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 30_000


def chromium() -> str:
    """Return the path of Debian's Chromium.

    Raises:
        AssertionError: It is not installed, or the web app is not built.
    """
    found = shutil.which("chromium")
    assert found, "Chromium is missing; apt-get install chromium"
    assert (app_folder() / "index.html").exists(), "the web app is not built; run: make web"
    return found


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@dataclass
class Viewer:
    """A browser page that is signed in to a user's agent.

    Attributes:
        said: Console output of the page, and errors of its scripts.
    """

    person: Person
    page: Page
    url: str
    said: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.url + path)
        return self.page

    def node(self, run_id: str, path: str) -> Page:
        from urllib.parse import quote

        return self.open(f"/p/{run_id}?node={quote(path, safe='/')}")

    def axe(self) -> list[str]:
        """Return axe's serious and critical findings on the current page."""
        return axe_findings(self.page)


def axe_findings(page: Page) -> list[str]:
    """Return axe's serious and critical findings on a page."""
    page.evaluate(AXE.read_text())  # through the debugger: the page's policy holds
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{one['id']}: {node['target']} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def choose(page: Page, menu: str, entry: str) -> None:
    """Choose an entry of a menu."""
    page.get_by_role("button", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=entry).click()


def compare_attempts(page: Page) -> None:
    """Open the tab of a node's two attempts, and compare them."""
    page.get_by_role("tab", name="History 2").click()
    for number in (1, 2):  # check() waits until the tab is loaded
        page.get_by_role("checkbox", name=f"Compare attempt {number}").check()


def kill(page: Page) -> None:
    """Kill the current node, and confirm it."""
    page.get_by_role("button", name="Kill", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Kill").click()


def agent_api(
    person: Person, path: str, method: str = "GET", body: Any = None, **headers: str
) -> Any:
    """Call a user's agent like the command line, or with other headers."""
    directory = person.base / person.profile / "agent"
    url = json.loads((directory / "agent.json").read_text())["url"]
    request = urllib.request.Request(
        f"{url}/api/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {(directory / 'token').read_text()}",
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def record_console(page: Page, said: list[str]) -> None:
    """Append console output of a page, and errors of its scripts, to a list.

    Chromium aborts requests when a container's network interface appears on the machine; the app
    repeats them, so the browser's note of it is left out.
    """

    def note(text: str) -> None:
        if "net::ERR_NETWORK_CHANGED" not in text:
            said.append(text)

    page.on("console", lambda message: note(message.text))
    page.on("pageerror", lambda error: note(str(error)))


#: Sandboxed documents have no storage.
_NO_TOUR = """
try { localStorage.setItem('conducto.tour', localStorage['conducto.tour'] ?? 'shown'); } catch {}
"""


@contextmanager
def viewer_of(
    person: Person, browser: Browser, *, tour: bool = False, **options: Any
) -> Iterator[Viewer]:
    """Yield a page that was signed in like 'conducto show --app' does.

    ``tour``: show the hints about the first pipeline, which otherwise depend on earlier tests.
    """
    login = Login.model_validate(agent_api(person, "/agent/login", "POST"))
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    if not tour:
        context.add_init_script(_NO_TOUR)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    viewer = Viewer(person, page, login.url.rstrip("/"))
    record_console(page, viewer.said)
    page.goto(forwarding_file(person.base / "browser", login, "/").as_uri())
    page.wait_for_url(login.url)
    yield viewer
    context.close()


@contextmanager
def launched_person(base: Path) -> Iterator[Person]:
    with person_at(base) as person:
        person.ask("agent", "start")
        yield person


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Poll a condition that has no event, such as the engine's containers."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def environment_of(person: Person) -> dict[str, str]:
    """Return the environment in which a user's terminal runs ``conducto``."""
    return {
        **os.environ,
        "CONDUCTO_BASE_DIR": str(person.base),
        "CONDUCTO_PROFILE": person.profile,
    }
