"""Content from programs and users is shown, never executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from system.web.scripts import launch

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

EVIL = "<img src=x onerror=document.documentElement.dataset.owned=1>"
MARKDOWN = (
    f"{EVIL} <script>document.documentElement.dataset.owned=1</script> [go](javascript:alert(1))"
)

NAME = "<b onmouseover=alert(1)>\u202etxt"
SHOWN = NAME.replace("\u202e", "\\u202e")

COMMAND = f"printf '%s' '{EVIL}'; printf '\\033]0;title\\007\\033[1;31mend\\n'; exit 1"

HOSTILE = f"""
    with co.Serial(doc={MARKDOWN!r}) as root:
        co.Exec({COMMAND!r},
                name={NAME!r}, doc={MARKDOWN!r}, title={EVIL!r})
"""


def test_a_script_in_output_name_title_or_doc_does_not_run(viewer: Viewer) -> None:
    run = launch(viewer.person, HOSTILE)
    page = viewer.node(run, f"/{NAME}")
    expect(page.get_by_role("heading", name=SHOWN, exact=True)).to_be_visible()
    expect(page.locator(".LogLines-lines")).to_contain_text(EVIL)
    page.get_by_role("tab", name="Details").click()
    expect(page.locator(".Markdown-markdown")).to_contain_text("go")
    expect(page.locator(".DetailsTab-details")).to_contain_text(EVIL)
    page.get_by_role("tab", name="History").click()
    viewer.open(f"/p/{run}")
    expect(page.locator(".Markdown-markdown")).to_contain_text("go")
    page.get_by_role("treeitem").filter(has_text="onmouseover").first.hover()
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.locator(".Markdown-markdown script").count() == 0
    viewer.open(f"/p/{run}/timeline")
    expect(page.get_by_role("treeitem")).to_contain_text(SHOWN)
    assert page.evaluate("document.documentElement.dataset.owned") is None
    viewer.said.clear()  # the missing picture


def test_the_page_may_not_run_scripts_of_others_at_all(viewer: Viewer) -> None:
    policies = {}
    viewer.page.on(
        "response",
        lambda response: policies.update(
            {response.url: response.headers.get("content-security-policy")}
        ),
    )
    page = viewer.open("/")
    assert all(policies.values()), "an answer without a policy"
    assert "script-src 'self'" in policies[page.url]
    assert "unsafe" not in " ".join(policies.values())
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'),"
        " {textContent: 'document.documentElement.dataset.owned = 1'}))"
    )
    assert page.evaluate("document.documentElement.dataset.owned") is None
    viewer.said.clear()  # the browser says that it refused
