"""The list and the header of a pipeline at a glance, and undo of actions."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import conducto as co
from conducto.tree.launch_form import to_launch_form
from support.browser import agent_api, choose, eventually, kill, launched_person, viewer_of
from system.web.scripts import QUICK, SLOW, launch, wide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web

#: One more page than the first, which is 200.
MANY = 230


def post(person: Person, root: co.Node, *, title: str, run: bool = False) -> str:
    """Launch a tree without a script; return its id."""
    body = {"tree": to_launch_form(root, title=title), "run": run, "engine": "process"}
    return agent_api(person, "/pipelines", "POST", body)["pipeline"]["id"]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody with more pipelines than one page of the list holds."""
    with launched_person(tmp_path_factory.mktemp("crowded")) as person:
        for number in range(MANY):
            post(person, co.Exec("true"), title=f"nightly {number}")
        yield person


def test_the_list_goes_on_to_the_oldest_as_it_is_scrolled(
    crowded: Person, browser: Browser
) -> None:
    with viewer_of(crowded, browser) as viewer:
        page = viewer.open("/")
        expect(page.get_by_role("link", name=f"nightly {MANY - 1}", exact=True)).to_be_visible()
        oldest = page.get_by_role("link", name="nightly 0", exact=True)
        while oldest.count() == 0:
            page.mouse.move(600, 400)
            page.mouse.wheel(0, 4000)
            page.wait_for_function("() => new Promise(requestAnimationFrame)")
        expect(oldest).to_be_visible()
        assert page.locator("*").count() < 2000
        assert viewer.said == []


def test_a_filter_that_finds_few_ends_the_list(crowded: Person, browser: Browser) -> None:
    with viewer_of(crowded, browser) as viewer:
        page = viewer.open("/?text=nightly+22")
        expect(page.locator(".PipelineRow-title")).to_have_count(11)
        expect(page.get_by_text("Loading older pipelines")).to_have_count(0)


def test_skip_is_undone(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK, run=False)
    page = viewer.node(run, "/bad")
    choose(page, "Node actions", "Skip")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Node actions").click()
    expect(page.get_by_role("menuitem", name="Skip", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_have_count(1)  # of the undo itself


CHILD = """import conducto as co
child = co.Serial(title="child")
child["a"] = co.Exec("false")
co.launch(child).wait()"""


def test_overviews_of_parent_and_child_lead_to_each_other(viewer: Viewer) -> None:
    python = f"PYTHONPATH={Path(co.__file__).parents[1]} {sys.executable}"
    root = co.Serial(launch=True)
    root["fan out"] = co.Exec(f"{python} -c {shlex.quote(CHILD)}")
    parent = post(viewer.person, root, title="parent", run=True)

    page = viewer.open(f"/p/{parent}")
    children = page.get_by_role("list", name="Launched by its commands")
    expect(children.get_by_role("listitem")).to_contain_text("/fan out", timeout=60_000)
    expect(children.get_by_role("img", name="failed")).to_be_visible(timeout=60_000)
    children.get_by_role("link", name="child").click()
    page.get_by_role("link", name=f"/fan out of {parent}").click()
    expect(page).to_have_url(re.compile(rf"/p/{parent}\?node="))
    assert viewer.said == []


def test_header_of_a_failed_pipeline_does_not_say_that_it_waits(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.open(f"/p/{run}")
    head = page.locator(".PipelineHead-head")
    expect(head).to_contain_text("1 pending, 2 done, 1 failed")
    expect(head).not_to_contain_text("waits for")


def test_header_shows_the_workers_of_the_pipeline(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW)
    page = viewer.open(f"/p/{run}")
    facts = page.locator(".PipelineHead-head")
    expect(facts).to_contain_text("1 process slot busy")
    expect(facts).to_contain_text("CPUs in use")
    page.get_by_role("link", name="Images").click()  # all pages have the actions
    page.get_by_role("toolbar", name="Pipeline").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel this pipeline").click()
    expect(facts).to_contain_text("1 killed")
    expect(facts).not_to_contain_text("busy")
    expect(facts.get_by_role("button", name="Rerun", exact=True)).to_be_visible()
    expect(facts.get_by_role("button", name="Pause")).to_have_count(0)


def test_rerun_failed_is_one_action_for_unloaded_nodes_too(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(300, 2))
    page = viewer.node(run, "/g1")
    expect(page.locator(".TreePane-failures")).to_contain_text("2 failed", timeout=60_000)
    actions: list[str] = []
    page.on("request", lambda one: actions.append(one.post_data or "") if one.post_data else None)
    page.get_by_role("tabpanel").get_by_role("button", name="Rerun failed").click()
    expect(page.get_by_text("Rerunning 1 command", exact=True)).to_be_visible()
    order = {"action": "rerun", "paths": ["/g1"], "failed": True}
    assert [json.loads(one) for one in actions] == [{**order, "preview": True}, order]
    eventually(lambda: attempts(viewer.person, run, "/g1/n298") == 2)
    assert attempts(viewer.person, run, "/g0/n298") == 1

    page.get_by_role("toolbar", name="Pipeline").get_by_role("button", name="Rerun failed").click()
    page.get_by_role("dialog").get_by_role("button", name="Rerun 2 commands").click()
    eventually(lambda: attempts(viewer.person, run, "/g0/n298") == 2)


def attempts(person: Person, run: str, path: str) -> int:
    return len(agent_api(person, f"/pipelines/{run}/attempts?path={path}")["attempts"])


def test_header_shows_the_reason_of_queued_nodes(viewer: Viewer) -> None:
    root = co.Parallel(max_concurrent=1)
    for number in range(3):
        root[f"n{number}"] = co.Exec("sleep 600")
    run = post(viewer.person, root, title="narrow", run=True)
    page = viewer.open(f"/p/{run}")
    waiting = page.locator(".PipelineHead-head")
    expect(waiting).to_contain_text("queued: max_concurrent=1 of / is reached")


def test_running_pipeline_shows_the_remaining_time(viewer: Viewer) -> None:
    """One run to its end; the next one of that title waits for a file, and has a rest."""
    gate = viewer.person.base / "gate"
    first = post(viewer.person, co.Exec("sleep 2"), title="estimated", run=True)
    page = viewer.open(f"/p/{first}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("done")
    waits = f"until test -e {gate}; do sleep 0.2; done"
    second = post(viewer.person, co.Exec(waits), title="estimated", run=True)
    page = viewer.open(f"/p/{second}")
    facts = page.locator(".PipelineHead-head")
    expect(facts).to_contain_text("longer than usual")
    gate.touch()
    expect(facts).to_contain_text("done")
    expect(facts).not_to_contain_text("usual")


def test_the_command_of_a_livedebug_is_copied(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW, run=False)
    page = viewer.node(run, "/slow")
    choose(page, "Debug", "Copy live debug command")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"conducto livedebug {run} /slow"


def test_words_of_a_command_are_marked_and_it_stays_text(viewer: Viewer) -> None:
    script = "for x in '<b>1</b>'; do echo $x; done"
    run = post(viewer.person, co.Exec(script), title="coloured")
    page = viewer.node(run, "/")
    command = page.locator(".Command-command")
    expect(command).to_have_text(script)
    expect(command.locator(".Command-string")).to_have_text("'<b>1</b>'")
    expect(command.locator(".Command-keyword").first).to_have_text("for")


def test_every_exec_of_a_large_group_is_a_cell_that_leads_to_it(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(300, 2))
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"], 60)
    page = viewer.node(run, "/g0")
    cells = page.get_by_role("region", name="Commands by state")
    expect(cells).to_contain_text("300 commands in order")
    canvas = cells.locator("canvas")

    def first_is_named() -> bool:  # sections that load later may move the cells
        canvas.hover(position={"x": 4, "y": 4})
        return "/g0/n0" in cells.inner_text()

    eventually(first_is_named)
    expect(cells).to_contain_text("done", timeout=60_000)
    canvas.click(position={"x": 4, "y": 4})
    expect(page.get_by_role("heading", name="n0", exact=True)).to_be_visible()


def test_cells_of_a_deleted_tree_disappear(viewer: Viewer, tmp_path: Path) -> None:
    made = co.Parallel()
    for number in range(40):
        made[f"made{number}"] = co.Exec("true")
    form = f"<__conducto_serialization>{made.serialize()}</__conducto_serialization>"
    (tmp_path / "tree").write_text(form)
    root = co.Serial()
    root["lazy"] = co.Lazy(f"cat '{tmp_path / 'tree'}'")
    root["plain"] = co.Parallel()
    for number in range(40):
        root["plain"][f"n{number}"] = co.Exec("true")
    run = post(viewer.person, root, title="lazy", run=True)
    page = viewer.open(f"/p/{run}")
    cells = page.get_by_role("region", name="Commands by state")
    expect(page.locator(".PipelineHead-head")).to_contain_text("81 done")
    expect(cells).to_contain_text("81 commands in order")

    for order in ({"action": "pause"}, {"action": "reset", "paths": ["/lazy"]}):
        agent_api(viewer.person, f"/pipelines/{run}/control", "POST", order)

    expect(cells).to_contain_text("41 commands in order")


def test_a_search_with_a_star_and_the_key_for_failures(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(40, 2))
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".TreePane-failures")).to_contain_text("2 failed", timeout=60_000)
    found = page.get_by_role("listbox", name="Matching nodes").get_by_role("option")
    page.keyboard.press("f")
    expect(found).to_have_count(2)
    page.keyboard.press("f")
    expect(page.get_by_role("tree")).to_be_visible()
    page.get_by_label("Search paths and commands").fill("g*/n39")
    expect(found).to_have_count(2)


def test_key_jumps_to_running_nodes_anywhere(viewer: Viewer) -> None:
    root = co.Serial()
    root["many"] = co.Parallel()
    for number in range(250):
        root["many"][f"n{number}"] = co.Exec("true" if number != 230 else "sleep 600")
    run = post(viewer.person, root, title="busy", run=True)
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("249 done", timeout=60_000)
    page.keyboard.press("u")
    expect(page.get_by_role("heading", name="n230", exact=True)).to_be_visible()
    expect(page.get_by_role("treeitem").filter(has_text="n230")).to_be_visible()
    kill(page)
    expect(page.locator(".PipelineHead-head")).to_contain_text("1 killed")
    page.keyboard.press("u")
    expect(page.get_by_text("No commands are running")).to_be_visible()


ALIKE = """
    with co.Parallel() as root:
        for number in range(6):
            why = "no module foo" if number % 3 else "the disk is full"
            co.Exec(f"echo working; echo '{why} ({number})' >&2; exit 1", name=f"n{number}")
"""


def test_failures_are_grouped_by_their_last_output(viewer: Viewer) -> None:
    run = launch(viewer.person, ALIKE)
    page = viewer.node(run, "/")
    groups = page.locator(".Reasons-reason")
    expect(groups).to_have_count(2)
    expect(groups.first).to_contain_text("4no module foo (…)")
    expect(groups.last).to_contain_text("the disk is full")
    groups.last.get_by_role("button", name="Rerun 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Rerun 2 commands").click()
    eventually(lambda: [attempts(viewer.person, run, f"/n{n}") for n in range(6)] == [2, 1, 1] * 2)


def test_overview_of_a_failed_pipeline_shows_the_changes(viewer: Viewer) -> None:
    def tree(mode: str) -> co.Parallel:
        root = co.Parallel()
        root["a"] = co.Exec(f"echo '{mode} is bad: error' >&2; test {mode} = x")
        return root

    good = post(viewer.person, tree("x"), title="checked", run=True)
    expect(viewer.open(f"/p/{good}").locator(".PipelineHead-head")).to_contain_text("1 done")
    bad = post(viewer.person, tree("y"), title="checked", run=True)
    page = viewer.open(f"/p/{bad}")

    card = page.get_by_role("region", name="What changed")
    expect(card).to_contain_text(f"since {good}, the last good one")
    expect(card.get_by_role("img", name="1 of the last 2 pipelines passed")).to_be_visible()
    expect(page.locator(".Reasons-reason")).to_contain_text("new")
    expect(page.get_by_text(f"All passed in {good}.")).to_be_visible()
    assert viewer.axe() == []


def test_reasons_and_changes_fit_into_a_window(viewer: Viewer) -> None:
    def tree(wrong: int) -> co.Serial:
        root = co.Serial(stop_on_error=False)
        for number in range(6):
            says = f"echo 'KeyError: field_{'abcdef'[number]}' >&2; exit 1"
            root[f"n{number}"] = co.Exec(says if number < wrong else "true")
        return root

    good = post(viewer.person, tree(0), title="window", run=True)
    expect(viewer.open(f"/p/{good}").locator(".PipelineHead-head")).to_contain_text("6 done")
    bad = post(viewer.person, tree(5), title="window", run=True)
    page = viewer.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page = viewer.open(f"/p/{bad}")

    card = page.get_by_role("region", name="What changed")
    expect(card.get_by_role("link", name="Program")).to_be_visible()
    expect(card).to_contain_text("suspect for 1 failure, new here")
    reasons = page.get_by_role("list", name="Reasons").get_by_role("listitem")
    expect(reasons).to_have_count(3)
    box = card.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 900
    page.get_by_role("button", name="2 more reasons").click()
    expect(reasons).to_have_count(5)
    page.keyboard.press("c")
    expect(page.get_by_role("heading", name="Compare two pipelines")).to_be_visible()
    assert f"before={good}&after={bad}" in page.url


def test_skipped_failures_are_labelled(viewer: Viewer) -> None:
    run = launch(viewer.person, ALIKE)
    eventually(lambda: all(attempts(viewer.person, run, f"/n{n}") == 1 for n in range(6)))
    viewer.person.ask("skip", run, "/n*")
    page = viewer.node(run, "/")
    expect(page.get_by_text("All failed commands are skipped.")).to_be_visible()
    expect(page.locator(".Reasons-reason")).to_have_count(0)
    failed = page.get_by_role("tabpanel").get_by_role("button", name="Rerun failed")
    expect(failed).to_have_count(0)


def test_page_shows_why_nodes_run_after_the_tree_was_replaced(viewer: Viewer) -> None:
    def tree(command: str) -> co.Serial:
        root = co.Serial()
        root["a"], root["b"] = co.Exec("true"), co.Exec(command)
        return root

    run = post(viewer.person, tree("true"), title="continued", run=True)
    page = viewer.open(f"/p/{run}")
    expect(page.locator(".PipelineHead-head")).to_contain_text("2 done")
    launch_ = {"tree": to_launch_form(tree("false"), title="continued")}
    agent_api(viewer.person, f"/pipelines/{run}/definition", "POST", {"launch": launch_})

    plan = page.locator("summary", has_text="Tree replaced at")
    expect(plan).to_contain_text("0 kept, 2 run")
    plan.click()
    page.get_by_role("link", name="/b", exact=True).click()
    reason = page.get_by_text("Tree replaced at")
    expect(reason).to_contain_text("runs: its image has no digest")
    assert viewer.axe() == []
