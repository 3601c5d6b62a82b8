"""The fixtures of web benchmarks: an agent with pipelines, and a browser."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conducto as co
from bench.local.agents import Agent
from bench.registry import BenchError
from conducto_core.run.model.states import State
from conducto_local.agent.state_dir import StateDir
from conducto_web import app_folder

#: Flags that keep the browser from accessing the network, which may be unavailable.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--js-flags=--expose-gc",
    "--enable-precise-memory-info",
)
#: Time in which a new window loads the browser's own pages, e.g. those of its address bar.
_WINDOW_MS = 1500
VIEW = {"width": 1400, "height": 860}


class WebLab:
    """Provides an agent and a browser.

    Attributes:
        agent: Runs plain processes, because only the app is measured.
        browser: Debian's Chromium, controlled by Playwright.
    """

    def __init__(self, agent: Agent, browser: Any) -> None:
        self.agent = agent
        self.browser = browser
        self._launched: dict[str, str] = {}

    def pipeline(
        self, name: str, tree: Callable[[], co.Node], *, run: bool, state: State = State.DONE
    ) -> str:
        """Return the id of a pipeline that is launched once for all repeats."""
        if name not in self._launched:
            found = self.agent.launch(tree(), run=run, engine="process")
            if run:
                self.agent.settled(found, state=state)
            self._launched[name] = found
        return self._launched[name]

    def signed_in(self, **options: Any) -> tuple[Any, str]:
        """Return a new browser context with a session, and the app's address."""
        login = self.agent.client.login()
        context = self.browser.new_context(**options)
        context.request.post(f"{login.url}session", data={"code": login.code})
        return context, login.url.rstrip("/")

    @contextlib.contextmanager
    def page(self) -> Iterator[tuple[Any, str]]:
        """Yield a new page with a session and an empty cache, and the app's address."""
        context, address = self.signed_in(viewport=VIEW)
        page = context.new_page()
        page.wait_for_timeout(_WINDOW_MS)
        yield page, address
        context.close()

    def describe(self) -> dict[str, object]:
        """Return the conditions of the results, in addition to the machine."""
        return {"browser": self.browser.version}

    def settle(self) -> None:
        """Do nothing: there is no background work between measurements."""


@contextlib.contextmanager
def open_web_lab() -> Iterator[WebLab]:
    """Open the fixtures; on exit, all processes and files are removed.

    Raises:
        BenchError: The app is not built, or there is no browser or no Playwright.
    """
    chromium = shutil.which("chromium")
    if chromium is None or not (app_folder() / "index.html").exists():
        raise BenchError("needs Chromium (apt-get install chromium) and the built app (make web)")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415  only this suite needs it
    except ImportError as error:
        raise BenchError("needs Playwright: pip install -e '.[web-test]'") from error
    with tempfile.TemporaryDirectory(prefix="conducto-bench-") as scratch:
        agent = Agent(StateDir(Path(scratch), f"bench-web-{os.getpid()}"))
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
                yield WebLab(agent, browser)
                browser.close()
        finally:
            agent.stop()
