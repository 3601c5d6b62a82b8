"""A run is downloaded from its page, and opened as a file that needs no agent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import AXE, agent_api, eventually, record_console
from system.web.scripts import launch

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from support.browser import Viewer

pytestmark = pytest.mark.web

FITS = "document.documentElement.scrollWidth <= innerWidth"
#: Whatever was executed would leave a mark.
HOSTILE = """
    evil = "<script>document.title='owned'</script><img src=x onerror=\\"document.title='owned'\\">"
    flat = evil.replace("/", "|")
    with co.Serial(doc=evil, tags=[evil]) as root:
        with co.Parallel(name="good"):
            co.Exec("seq 9", name="a")
            co.Exec("true", name="b", doc=evil)
        co.Exec(f"cat <<'END'\\n{evil}\\n\\033[31mred\\033[0m\\nEND\\nexit 3", name=flat)
        co.Exec("echo after", name="after")
"""


@pytest.fixture
def file(viewer: Viewer, tmp_path: Path) -> Path:
    run = launch(viewer.person, HOSTILE)
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"])
    page = viewer.open(f"/p/{run}")
    page.get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Download report").click()
    assert download.value.suggested_filename.endswith(".html")
    saved = tmp_path / "run.html"
    download.value.save_as(saved)
    page.goto("about:blank")  # it says nothing more
    viewer.said.clear()  # the app's page says that the picture's script was kept from running
    return saved


def opened(browser: Browser, file: Path, said: list[str], **options: object) -> Page:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    page = context.new_page()
    record_console(page, said)
    page.on("request", lambda request: said.append(request.url))
    page.goto(file.as_uri())
    return page


def test_a_report_is_downloaded_and_opens_without_an_agent(browser: Browser, file: Path) -> None:
    said: list[str] = []
    page = opened(browser, file, said)

    expect(page.get_by_role("heading", name="Failures (1)")).to_be_visible()
    failure = page.get_by_role("article")
    expect(failure).to_contain_text("exit 3")
    expect(failure).to_contain_text(re.compile(r"pipeline\.py:\d+"))
    expect(failure.get_by_label("Last output")).to_contain_text("document.title='owned'")
    failure.get_by_role("link").click()
    place = page.locator("details:target")
    expect(place).to_be_visible()
    good = page.locator("details.group", has_text="good").last
    expect(good).not_to_have_attribute("open", "")
    good.locator("summary").first.click()
    good.get_by_text("done").nth(1).click()
    expect(good).to_contain_text("seq 9")
    assert page.title().endswith("· Conducto")
    assert said == [file.as_uri()], "nothing is asked for, nothing is complained of"
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_is_readable_on_a_phone_in_both_themes(
    browser: Browser, file: Path, scheme: str
) -> None:
    size = {"width": 360, "height": 740}
    page = opened(browser, file, [], viewport=size, color_scheme=scheme)
    assert page.evaluate(FITS)
    for summary in page.locator("summary").all():
        if not summary.evaluate("one => one.parentElement.open"):
            summary.click()
    assert page.evaluate(FITS)
    page.context.close()

    # The page's policy lets no script in, so the checker looks at the same page without it.
    bare = file.with_name("bare.html")
    bare.write_text(
        re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", file.read_text())
    )
    page = opened(browser, bare, [], viewport=size, color_scheme=scheme)
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []
    page.context.close()
