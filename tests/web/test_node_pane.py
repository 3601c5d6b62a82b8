"""More about one node: what it printed for people, two attempts side by side, who was told."""

from __future__ import annotations

import base64
import textwrap
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually
from web.scripts import QUICK, launch

if TYPE_CHECKING:
    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web

RED_SQUARE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR4nGP4z8BAEmIY1TCqYfhqAABAmQH/0k9r"
    "gAAAAABJRU5ErkJggg=="
)

#: Markdown with a picture of ours, one of another's, and what must not run.
REPORT = textwrap.dedent("""
    echo noise
    echo '<ConductoMarkdown>'
    echo '# Flights'
    echo '| city | late |'
    echo '|------|------|'
    echo '| Oslo | 3    |'
    echo
    echo "![plot](/gw/manager/data/$CONDUCTO_PIPELINE_ID/pipeline/plot.png)"
    echo '![theirs](https://example.com/spy.png)'
    echo '<script>document.documentElement.dataset.owned=1</script>'
    echo '</ConductoMarkdown>'
    echo '<ConductoMarkdown>unclosed' >&2
""")
REPORTING = f"""
    with co.Serial() as root:
        co.Exec({REPORT!r}, name="report")
"""

TELLING = """
    with co.Serial() as root:
        co.Exec("exit 1", name="bad").on_error(co.callback.email(to="somebody@example.com"))
"""


def settle(person: Person, run: str) -> None:
    eventually(lambda: agent_api(person, f"/pipelines/{run}")["settled"], patience=60)


def test_markdown_in_the_output_is_shown_with_tables_and_pictures(viewer: Viewer) -> None:
    run = launch(viewer.person, REPORTING)
    settle(viewer.person, run)
    data = viewer.person.base / viewer.person.profile / "pipelines" / run / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "plot.png").write_bytes(RED_SQUARE)
    page = viewer.node(run, "/report")
    page.get_by_role("tab", name="Report").click()
    report = page.locator(".report")
    expect(report.get_by_role("heading", name="Flights")).to_be_visible()
    expect(report.get_by_role("cell", name="Oslo")).to_be_visible()
    expect(report).to_contain_text("unclosed")
    expect(report).not_to_contain_text("noise")
    page.wait_for_function("document.querySelector('.report img')?.naturalWidth === 16")
    # A picture of another host is a link: nobody learns that it was looked at.
    expect(report.get_by_role("link", name="theirs")).to_have_attribute(
        "href", "https://example.com/spy.png"
    )
    assert report.locator("img").count() == 1
    assert page.evaluate("document.documentElement.dataset.owned") is None


def test_a_node_without_markdown_has_no_report(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.node(run, "/bad")
    expect(page.locator(".log-lines")).to_contain_text("boom")
    expect(page.get_by_role("tab", name="Report")).to_have_count(0)


def test_two_attempts_are_compared_with_what_they_printed(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    settle(viewer.person, run)
    order = {
        "action": "modify",
        "paths": ["/bad"],
        "changes": {"command": "echo 'boom: no such thing'; echo mended"},
    }
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", order)
    agent_api(
        viewer.person,
        f"/pipelines/{run}/control",
        "POST",
        {"action": "reset", "paths": ["/bad"]},
    )
    settle(viewer.person, run)
    page = viewer.node(run, "/bad")
    page.get_by_role("tab", name="Attempts 2").click()
    for box in page.get_by_role("checkbox", name="Compare").all():
        box.check()
    differences = page.get_by_role("region", name="Differences", exact=True)
    expect(differences).to_contain_text("exit 3")
    expect(page.get_by_role("region", name="Differences in stdout")).to_contain_text("+ mended")
    expect(page.get_by_role("region", name="Differences in stderr")).to_contain_text("The same.")


def test_who_was_told_of_a_failure_stands_with_the_node(viewer: Viewer) -> None:
    run = launch(viewer.person, TELLING)
    settle(viewer.person, run)
    page = viewer.node(run, "/bad")
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_role("heading", name="Notifications")).to_be_visible()
    expect(page.locator(".details")).to_contain_text("not sent")
