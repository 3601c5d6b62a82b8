"""Ten pages of the documentation site in Chromium: axe, both themes, a phone and a desk."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import axe_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = pytest.mark.web

ROOT = Path(__file__).parents[3]
MKDOCS = Path(sys.executable).with_name("mkdocs")
PAGES = [
    "",
    "getting-started/",
    "contents/",
    "concepts/tree/",
    "concepts/security/",
    "reference/cli/",
    "reference/http-api/",
    "coming-from/airflow/",
    "examples/",
    "project/changelog/",
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the site."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [MKDOCS, "build", "--strict", "--quiet", "--site-dir", folder], cwd=ROOT, check=True
    )
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_ten_pages_are_accessible_and_fit(
    browser: Browser, address: str, theme: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, reduced_motion="reduce"
    )
    page = context.new_page()
    foreign: list[str] = []
    page.on("request", lambda each: each.url.startswith(address) or foreign.append(each.url))
    problems = {}
    for path in PAGES:
        page.goto(f"{address}/{path}", wait_until="networkidle")
        found = axe_findings(page)
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
        problems[path] = found + (["scrolls sideways"] if wide else [])
        if folder := os.environ.get("LOOKS"):
            name = path.strip("/").replace("/", "-") or "index"
            page.screenshot(path=f"{folder}/site-{name}-{width}-{theme}.png")
    context.close()

    assert {path: found for path, found in problems.items() if found} == {}
    assert foreign == []


def test_search_finds_a_page(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(address, wait_until="networkidle")
    page.get_by_placeholder("Search").first.fill("livedebug")

    results = page.locator(".md-search-result__link")
    expect(results.filter(has_text="Debugging").first).to_be_visible()
    page.close()
