"""Reports: markdown in `reports/` of a pipeline's data is shown at the top of its page."""

from __future__ import annotations

import base64
import re
import sys
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import ROOT, agent_api, eventually
from system.web.scripts import QUICK, launch
from system.web.test_hostile import MARKDOWN
from system.web.test_node_pane import RED_SQUARE

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web

#: Waits for a file, then reports with this Python, as a command in an image with conducto would.
PYTHON = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT / "sdk")!r})
import conducto as co
co.nb.report("## Trees\\n\\nBy a *node*, attempt " + os.environ["CONDUCTO_ATTEMPT"] + ".")
while not os.path.exists("GATE"):
    time.sleep(0.1)
co.nb.report("The end.", name="summary")
"""
CAT = f"""
cd $CONDUCTO_DATA_PIPELINE
mkdir -p reports
echo {base64.b64encode(RED_SQUARE).decode()} | base64 -d > plot.png
cat > reports/accuracy.md <<END
| model | accuracy |
|-------|---------:|
| tree  | 0.91     |

- [x] <b style="color: red">trained</b>
- [ ] published

![plot](/gw/manager/data/$CONDUCTO_PIPELINE_ID/pipeline/plot.png)
END
seq 300 | sed 's/$/\\n/' > reports/long.md
head -c 300000 /dev/zero | tr '\\0' 'x' | fold -w 79 > reports/verylong.md
: > reports/empty.md
"""


def reporting(gate: Path) -> str:
    script = PYTHON.replace("GATE", str(gate))
    return f"""
    with co.Serial() as root:
        co.Exec({CAT!r}, name="by cat")
        co.Exec("exec {sys.executable} - <<'END'\\n" + {script!r} + "END", name="by python")
"""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def data_of(person: Person, run: str) -> Path:
    return person.base / person.profile / "pipelines" / run / "data"


def settled(person: Person, run: str) -> None:
    eventually(lambda: agent_api(person, f"/pipelines/{run}")["settled"], seconds=60)


def report(page: Page, title: str):
    reports = page.get_by_role("region", name="Reports")
    return reports.get_by_role("article", name=title, exact=True)


def test_reports_of_any_program_are_at_the_top_and_follow_the_run(
    viewer: Viewer, gate: Path
) -> None:
    run = launch(viewer.person, reporting(gate))
    page = viewer.open(f"/p/{run}")
    reports = page.get_by_role("region", name="Reports")
    expect(reports.get_by_role("heading", name="5 reports")).to_be_visible()
    titles = reports.get_by_role("article").get_by_role("heading", level=3)
    expect(titles).to_have_text(["accuracy", "empty", "long", "verylong", "/by python"])
    accuracy = report(page, "accuracy")
    expect(accuracy.get_by_role("cell", name="0.91")).to_have_attribute("align", "right")
    expect(accuracy.get_by_role("listitem").filter(has_text="trained")).to_contain_text("☑")
    page.wait_for_function(
        "document.querySelector('.ReportsSection-reports img')?.naturalWidth === 16"
    )
    expect(report(page, "empty")).to_contain_text("Empty report")

    # Reports below the third are fetched when a user opens them.
    node = report(page, "/by python")
    expect(node.locator(".Markdown-markdown")).to_have_count(0)
    node.get_by_role("button", name="Open /by python").click()
    expect(node.get_by_role("heading", name="Trees")).to_be_visible()
    expect(node).to_contain_text("attempt 1")

    gate.touch()
    expect(reports.get_by_role("heading", name="6 reports")).to_be_visible()
    settled(viewer.person, run)
    summary = report(page, "summary")
    summary.get_by_role("button", name="Open summary").click()
    expect(summary).to_contain_text("The end.")
    node.get_by_role("link", name="/by python").click()
    expect(page.get_by_role("tab", name="Output")).to_be_visible()
    expect(page.get_by_role("tab", name="Report", exact=True)).to_be_visible()  # printed as well
    assert viewer.axe() == []


def test_a_long_report_is_folded_and_of_a_huge_one_the_beginning_is_shown(
    viewer: Viewer, gate: Path
) -> None:
    gate.touch()
    run = launch(viewer.person, reporting(gate))
    settled(viewer.person, run)
    page = viewer.open(f"/p/{run}")
    long = report(page, "long")
    expect(long.get_by_text("300", exact=True)).not_to_be_in_viewport()
    tall = long.bounding_box()
    assert tall is not None
    assert tall["height"] < 600
    assert viewer.axe() == []
    long.get_by_role("button", name="Show all of long").click()
    long.get_by_text("300", exact=True).scroll_into_view_if_needed()
    expect(long.get_by_text("300", exact=True)).to_be_in_viewport()
    long.get_by_role("button", name="Show less of long").click()
    expect(long.get_by_text("300", exact=True)).not_to_be_in_viewport()
    huge = report(page, "verylong")
    huge.get_by_role("button", name="Open verylong").click()
    expect(huge).to_contain_text("Showing the first 256 kB of 304 kB")


def test_rewritten_report_is_reloaded(viewer: Viewer, gate: Path) -> None:
    run = launch(viewer.person, reporting(gate))
    page = viewer.open(f"/p/{run}")
    accuracy = report(page, "accuracy")
    expect(accuracy.get_by_role("cell", name="0.91")).to_have_attribute("align", "right")
    expect(accuracy.get_by_role("listitem").filter(has_text="trained")).to_contain_text("☑")
    (data_of(viewer.person, run) / "reports" / "accuracy.md").write_text("# Better\n")
    expect(report(page, "accuracy").get_by_role("heading", name="Better")).to_be_visible()
    gate.touch()
    settled(viewer.person, run)


def test_a_script_in_a_report_does_not_run(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    settled(viewer.person, run)
    reports = data_of(viewer.person, run) / "reports"
    reports.mkdir(parents=True)
    (reports / "<img src=x onerror=document.documentElement.dataset.owned=1>.md").write_text(
        MARKDOWN + "\n\n![theirs](https://example.com/spy.png)\n\n<style>body{display:none}</style>"
    )
    (reports / "+<b onmouseover=alert(1)>+x.md").write_text(MARKDOWN)
    (reports / "way out.md").symlink_to("/etc/passwd")
    page = viewer.open(f"/p/{run}")
    shown = page.get_by_role("region", name="Reports")
    expect(shown.get_by_role("heading", name="2 reports")).to_be_visible()
    expect(shown.get_by_role("article")).to_have_count(2)
    closed = shown.get_by_role("button", name="Open ")
    while closed.count() > 0:
        closed.first.click()
    expect(shown.locator(".Markdown-markdown")).to_have_count(2)
    expect(shown.locator(".Markdown-markdown").last).to_contain_text("go")
    # A picture of another host is a link: no host learns that the page was opened.
    theirs = shown.get_by_role("link", name="theirs")
    expect(theirs).to_have_attribute("href", "https://example.com/spy.png")
    assert page.evaluate("document.documentElement.dataset.owned") is None
    assert page.locator("a[href^=javascript]").count() == 0
    assert (
        page.locator(
            ".Markdown-markdown script, .Markdown-markdown style, .Markdown-markdown [onerror]"
        ).count()
        == 0
    )
    viewer.said.clear()  # the missing picture


@pytest.fixture
def asked(viewer: Viewer) -> list[str]:
    """The page's requests for data."""
    found: list[str] = []
    viewer.page.on("request", lambda one: found.append(one.url) if "/data" in one.url else None)
    return found


def test_where_nothing_is_reported_nothing_is_shown_and_little_is_asked(
    viewer: Viewer, asked: list[str]
) -> None:
    run = launch(viewer.person, QUICK)
    settled(viewer.person, run)
    page = viewer.page
    with page.expect_request(lambda one: "/data" in one.url):
        viewer.open(f"/p/{run}")
    expect(page.locator(".Reasons-lines")).to_be_visible()
    expect(page.get_by_role("region", name="Reports")).to_have_count(0)
    assert len(asked) == 1
    page.get_by_role("treeitem").filter(has_text="good").first.click()
    expect(page.get_by_role("heading", name=re.compile("succeeded"))).to_be_visible()
    assert len(asked) == 1


def test_a_pipeline_of_one_exec_has_an_overview_when_it_reports(viewer: Viewer) -> None:
    write = "mkdir -p $CONDUCTO_DATA_PIPELINE/reports; echo '# Fine' > $_/sum.md; echo said"
    run = launch(viewer.person, f"    root = co.Exec({write!r})")
    page = viewer.node(run, "/")
    expect(page.locator(".LogLines-lines")).to_contain_text(
        "said"
    )  # visible lines are not pushed away
    page.get_by_role("tab", name="Overview").click()
    expect(report(page, "sum").get_by_role("heading", name="Fine")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)  # those of reports are lower
    assert viewer.axe() == []

    settled(viewer.person, silent := launch(viewer.person, '    root = co.Exec("true")'))
    viewer.node(silent, "/")
    expect(page.get_by_role("tab", name="Files")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("tab", name="Overview")).to_have_count(0)
