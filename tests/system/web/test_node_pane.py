"""More about one node: its reports, two attempts side by side, and its notifications."""

from __future__ import annotations

import base64
import getpass
import json
import re
import textwrap
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, compare_attempts, eventually
from system.web.scripts import QUICK, launch

if TYPE_CHECKING:
    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web

RED_SQUARE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAIAAACQkWg2AAAAFklEQVR4nGP4z8BAEmIY1TCqYfhqAABAmQH/0k9r"
    "gAAAAABJRU5ErkJggg=="
)

#: Markdown with a picture of the app, one of another host, and a script that must not run.
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
    eventually(lambda: agent_api(person, f"/pipelines/{run}")["settled"], seconds=60)


def rerun_by_assistant(person: Person, run: str, path: str, client: str) -> None:
    create = ("tokens", "create", "editor", "--local", "--assistant", "--allow", "control")
    token = json.loads(person.ask(*create, "--json").stdout)["token"]
    agent_api(
        person,
        f"/pipelines/{run}/control",
        "POST",
        {"action": "rerun", "paths": [path]},
        Authorization=f"Bearer {token}",
        Conducto_Client=client,
    )


def test_rerun_by_an_assistant_is_labelled_in_the_open_tree_and_the_history(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    settle(viewer.person, run)
    page = viewer.node(run, "/bad")
    row = page.get_by_role("treeitem", name="failed Exec bad")
    expect(row).to_be_visible()
    label = f"Claude Code for {getpass.getuser()}"
    expect(row).not_to_contain_text(label)

    rerun_by_assistant(viewer.person, run, "/bad", "Claude Code")

    expect(row).to_contain_text(label)
    page.reload()
    expect(row).to_contain_text(label)
    page.get_by_role("tab", name="History").click()
    expect(page.get_by_text(f"by {label}")).to_be_visible()


def test_markdown_in_the_output_is_shown_with_tables_and_pictures(viewer: Viewer) -> None:
    run = launch(viewer.person, REPORTING)
    settle(viewer.person, run)
    data = viewer.person.base / viewer.person.profile / "pipelines" / run / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "plot.png").write_bytes(RED_SQUARE)
    page = viewer.node(run, "/report")
    page.get_by_role("tab", name="Report").click()
    report = page.locator(".ReportTab-report")
    expect(report.get_by_role("heading", name="Flights")).to_be_visible()
    expect(report.get_by_role("cell", name="Oslo")).to_be_visible()
    expect(report).to_contain_text("unclosed")
    expect(report).not_to_contain_text("noise")
    page.wait_for_function("document.querySelector('.ReportTab-report img')?.naturalWidth === 16")
    # A picture of another host is a link: no host learns that the page was opened.
    expect(report.get_by_role("link", name="theirs")).to_have_attribute(
        "href", "https://example.com/spy.png"
    )
    assert report.locator("img").count() == 1
    assert page.evaluate("document.documentElement.dataset.owned") is None


def test_a_node_without_markdown_has_no_report(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.node(run, "/bad")
    expect(page.locator(".LogLines-lines")).to_contain_text("boom")
    expect(page.get_by_role("tab", name="Report")).to_have_count(0)


def test_two_attempts_are_compared_with_their_output(viewer: Viewer) -> None:
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
    compare_attempts(page)
    differences = page.get_by_role("region", name="Differences", exact=True)
    expect(differences).to_contain_text("exit 3")
    expect(page.get_by_role("region", name="Differences in stdout")).to_contain_text("+ mended")
    expect(page.get_by_role("region", name="Differences in stderr")).to_contain_text(
        "No differences."
    )


def test_recipients_of_notifications_are_listed_with_the_node(viewer: Viewer) -> None:
    run = launch(viewer.person, TELLING)
    settle(viewer.person, run)
    page = viewer.node(run, "/bad")
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_role("heading", name="Notifications")).to_be_visible()
    expect(page.locator(".DetailsTab-details")).to_contain_text("failed")


#: The second attempt writes one file more than the first; the other Exec comes later.
WRITING = """
    with co.Serial() as root:
        co.Exec(
            'cd $CONDUCTO_DATA_PIPELINE; mkdir -p out; echo 1 > out/$RANDOM.txt',
            name="writes",
            image=co.Image("debian", shell="/bin/bash"),
        )
        co.Exec("echo 2 > $CONDUCTO_DATA_PIPELINE/later.txt", name="later")
"""


def test_files_that_an_attempt_wrote_are_listed_with_it(viewer: Viewer) -> None:
    run = launch(viewer.person, WRITING)
    settle(viewer.person, run)
    page = viewer.node(run, "/writes")
    page.get_by_role("tab", name="Files").click()
    files = page.get_by_role("rowheader")
    expect(files).to_have_count(1)
    first = files.inner_text()
    assert re.fullmatch(r"out/\d+\.txt", first)
    page.get_by_role("button", name="Rerun", exact=True).click()
    page.get_by_role("tab", name="History 2").wait_for()
    settle(viewer.person, run)
    page.get_by_role("tab", name="Files").click()
    expect(files).not_to_have_text(first)
    page.goto(page.url + "&attempt=1")
    expect(files).to_have_text(first)
    files.get_by_role("link").click()
    expect(page.get_by_role("region", name=f"File {first}")).to_contain_text("1")


def test_history_of_a_node_has_its_earlier_runs(viewer: Viewer) -> None:
    earlier, run = (launch(viewer.person, QUICK) for _ in range(2))
    for each in (earlier, run):
        settle(viewer.person, each)
    page = viewer.node(run, "/bad")
    page.get_by_role("tab", name="History").click()

    history = page.get_by_role("region", name="Earlier pipelines")
    expect(history.get_by_role("row", name=f"{run} this one")).to_be_visible()
    expect(history.get_by_role("option", name=f"{earlier}: failed")).to_be_visible()
    assert viewer.axe() == []
    history.get_by_role("rowheader", name=earlier).get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"/p/{earlier}"))


def test_attempt_without_files_has_a_message(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    settle(viewer.person, run)
    page = viewer.node(run, "/bad")
    page.get_by_role("tab", name="Files").click()
    expect(page.get_by_text("No files")).to_be_visible()


LONG = """
    with co.Serial() as root:
        co.Exec(
            "echo '::group::Prepare'; seq 5000; echo '::endgroup::'; sleep 0.4; seq 9 >&2;"
            "sleep 0.4; echo '--- Test'; echo tested; echo '--- Upload'; echo sent",
            name="counts",
        )
"""


def test_output_is_one_stream_with_groups_and_links_to_lines(viewer: Viewer) -> None:
    run = launch(viewer.person, LONG)
    settle(viewer.person, run)
    page = viewer.node(run, "/counts")
    shown = page.locator(".LogLines-body")
    # All groups but the last are closed; stderr is between the lines of stdout.
    group = page.get_by_role("button", name="Prepare")
    expect(group).to_have_attribute("aria-expanded", "false")
    expect(group).to_contain_text("5,000 lines")
    expect(shown).to_contain_text(re.compile(r"Prepare.*err\D*1\d.*err\D*9.*Test.*Upload.*sent$"))
    tested = page.locator(".LogLines-text").filter(has_text="tested")
    expect(tested).to_have_count(0)
    page.get_by_role("button", name="Test", exact=False).filter(has_text="1 line").click()
    expect(tested).to_be_visible()

    # A link to lines opens their group, and scrolls to them.
    number = page.locator(".LogLines-line").filter(has_text="sent").locator(".LogLines-number")
    number.click()
    expect(page).to_have_url(re.compile("attempt=1&line=5015"))
    tested.locator("xpath=..").locator(".LogLines-number").click(modifiers=["Shift"])
    expect(page).to_have_url(re.compile("line=5013-5015"))
    page.goto(page.url.replace("line=5013-5015", "line=1235-1236"))
    lines = page.locator(".LogLines-found .LogLines-text")
    expect(lines).to_have_text(["1234", "1235"])
    expect(lines.first).to_be_in_viewport()

    # A search covers closed groups; a stream has lines of its own.
    page.get_by_role("searchbox", name="Search output").fill("tested")
    expect(page.locator(".LogLines-found mark")).to_have_text("tested")
    page.get_by_role("button", name="stderr").click()
    expect(page).not_to_have_url(re.compile("line="))
    expect(page.locator(".LogLines-text")).to_have_text([str(n) for n in range(1, 10)])


HANDED_DOWN = """
    new = co.ContainerReuseContext.NEW
    with co.Serial(mem=1.5, env={"MODE": "x"}, container_reuse_context=new) as root:
        root.on_error(co.callback.retry(2, inherited=True))
        co.Exec("true", name="own", cpu=0.5)
        co.Exec("true", name="alone", container_reuse_context=new)
"""


def test_details_say_where_parameters_and_callbacks_come_from(viewer: Viewer) -> None:
    run = launch(viewer.person, HANDED_DOWN, run=False)
    page = viewer.node(run, "/own")
    page.get_by_role("tab", name="Details").click()
    row = page.get_by_role("row")
    expect(row.filter(has_text=re.compile("^cpu"))).to_have_text(re.compile(r"0.5\s*this node$"))
    expect(row.filter(has_text=re.compile("^mem"))).to_have_text(re.compile(r"1.5\s*/$"))
    expect(row.filter(has_text="MODE")).to_have_text(re.compile(r"x\s*/$"))
    callback = row.filter(has_text="on error")
    expect(callback).to_contain_text("retry(max_num_retries=2)")
    expect(callback).to_have_text(re.compile("/$"))
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("img", name="shares the container of its group")).to_have_count(1)
    expect(tree.get_by_role("img", name="each attempt uses a new container")).to_have_count(1)


def test_panes_survive_a_narrow_window_and_code_that_cannot_be_loaded(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.page
    page.route("**/assets/HistoryTab*", lambda route: route.abort("connectionrefused"))
    viewer.node(run, "/good/b")
    lines = page.locator(".LogLines-lines")
    expect(lines).to_contain_text("300")
    scrolled = "([line]) => { line.scrollTop = 900; return line.scrollTop; }"
    top = lines.evaluate_all(scrolled)
    page.evaluate("document.querySelector('.tree-scroll').dataset.same = ''")

    for width in (900, 1280):
        page.set_viewport_size({"width": width, "height": 800})
    expect(page.locator(".tree-scroll[data-same]")).to_be_visible()
    assert lines.evaluate("(line) => line.scrollTop") == top

    page.get_by_role("tab", name="History").click()
    expect(page.get_by_role("alert")).to_contain_text("Could not load this part")
    expect(page.locator(".tree-scroll[data-same]")).to_be_visible()
    page.unroute("**/assets/HistoryTab*")
    # The app asks again by itself, too, and then there is no button any more.
    page.get_by_role("button", name="Retry").evaluate_all("([retry]) => retry?.click()")
    expect(page.get_by_role("tabpanel")).to_contain_text("Attempt 1")
    viewer.said.clear()  # the browser notes the aborted request
