"""Pages beside the tree: images, data, timeline, secrets, the agent, settings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually, viewer_of
from system.web.scripts import QUICK, SLOW, launch, wide

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web

PAGES = ("timeline", "timeline?by=worker", "images", "data")
FITS = "document.documentElement.scrollWidth <= innerWidth"
OWNED = "document.documentElement.dataset.owned"

#: One image whose build prints something, and one that does not exist.
IMAGES = """
    import uuid

    # Another one each time: what the engine has already prints nothing.
    text = f"FROM python:3.11-slim\\nRUN echo laid-brick {uuid.uuid4()}\\n"
    built = co.Image(dockerfile_text=text, name="built")
    missing = co.Image("no-such-image-anywhere:1", name="missing")
    with co.Serial(image=built, stop_on_error=False) as root:
        with co.Parallel(name="uses"):
            co.Exec("echo one", name="one")
            co.Exec("echo two", name="two")
        co.Exec("echo three", name="three", image=missing)
"""

STEPS = """
    with co.Serial() as root:
        co.Exec("sleep 0.2", name="first")
        with co.Parallel(name="tests"):
            co.Exec("true", name="short")
            co.Exec("sleep 1", name="long")
        co.Exec("true", name="last")
"""


#: The second waits until the first is done.
IN_TURN = """
    with co.Parallel(max_concurrent=1) as root:
        co.Exec("sleep 0.4", name="first")
        co.Exec("true", name="second")
"""


def settle(person: Person, run: str) -> None:
    eventually(lambda: agent_api(person, f"/pipelines/{run}")["settled"], seconds=90)


def data_of(person: Person, run: str) -> Path:
    directory = person.base / person.profile / "pipelines" / run / "data"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def test_image_shows_its_build_and_is_rebuilt_for_its_nodes(viewer: Viewer) -> None:
    run = launch(viewer.person, IMAGES, engine="docker")
    settle(viewer.person, run)
    page = viewer.open(f"/p/{run}")
    page.get_by_role("link", name="Images").click()
    # Broken pipelines are shown first.
    expect(page.get_by_role("region", name="Image missing").get_by_role("alert")).to_contain_text(
        "no-such-image-anywhere"
    )
    page.get_by_role("button", name="built built").click()
    expect(page.get_by_role("log", name="Build log")).to_contain_text("laid-brick")
    steps = page.get_by_role("list", name="Build steps")
    expect(steps.get_by_role("listitem").filter(has_text="building")).to_contain_text("done")
    expect(steps.get_by_role("listitem").filter(has_text="laid-brick")).to_contain_text("done")
    page.get_by_role("button", name="Rebuild").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("/uses")
    expect(dialog).not_to_contain_text("/three")
    dialog.get_by_role("button", name="Rebuild and rerun 2 commands").click()
    expect(dialog).to_have_count(0)
    eventually(
        lambda: (
            len(agent_api(viewer.person, f"/pipelines/{run}/attempts?path=/uses/one")["attempts"])
            == 2
        ),
        seconds=60,
    )


def test_data_is_browsed_shown_put_and_deleted(viewer: Viewer, tmp_path: Path) -> None:
    run = launch(viewer.person, QUICK)
    data = data_of(viewer.person, run)
    (data / "out").mkdir()
    (data / "out" / "scores.csv").write_text('name,score\n"a, b",3\n')
    page = viewer.open(f"/p/{run}/data")
    page.get_by_role("button", name="out/").click()
    page.get_by_role("button", name="scores.csv", exact=True).click()
    shown = page.get_by_role("region", name="File out/scores.csv")
    expect(shown.get_by_role("cell", name="a, b")).to_be_visible()
    with page.expect_download() as download:
        shown.get_by_role("link", name="Download").click()
    assert download.value.path().read_text() == (data / "out" / "scores.csv").read_text()

    mine = tmp_path / "notes.txt"
    mine.write_text("one")
    page.get_by_label("Upload files").set_input_files(mine)
    expect(page.get_by_role("button", name="notes.txt", exact=True)).to_be_visible()
    mine.write_text("two")
    page.get_by_label("Upload files").set_input_files(mine)
    page.get_by_role("dialog").get_by_role("button", name="Replace").click()
    eventually(lambda: (data / "out" / "notes.txt").read_text() == "two")

    page.get_by_role("button", name="Delete out/notes.txt").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert (data / "out" / "notes.txt").exists()
    page.get_by_role("button", name="Delete out/notes.txt").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="notes.txt", exact=True)).to_have_count(0)
    assert not (data / "out" / "notes.txt").exists()
    page.go_back()
    page.get_by_role("button", name="Data", exact=True).click()
    expect(page.get_by_role("button", name="out/")).to_be_visible()


def test_an_upload_shows_how_far_it_is_and_can_be_stopped(viewer: Viewer, tmp_path: Path) -> None:
    run = launch(viewer.person, QUICK)
    page = viewer.open(f"/p/{run}/data")
    # So slow a line that it is still under way when it is stopped.
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    speed = {"offline": False, "latency": 0, "downloadThroughput": -1}
    line.send("Network.emulateNetworkConditions", {**speed, "uploadThroughput": 200_000})
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(4_000_000))
    page.get_by_label("Upload files").set_input_files(large)
    upload = page.get_by_role("group", name="Upload")
    expect(upload).to_contain_text("large.bin")
    expect(upload).to_contain_text("of 4.0 MB")
    expect(upload.get_by_role("progressbar")).not_to_have_js_property("value", 0)
    upload.get_by_role("button", name="Cancel", exact=True).click()
    expect(upload).to_have_count(0)
    line.send("Network.emulateNetworkConditions", {**speed, "uploadThroughput": -1})
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_have_count(0)
    page.get_by_label("Upload files").set_input_files(large)
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_be_visible()
    viewer.said.clear()  # the browser may note the request that was stopped


def test_the_users_data_is_a_page_of_its_own(viewer: Viewer, tmp_path: Path) -> None:
    page = viewer.open("/")
    page.get_by_role("link", name="Data").click()
    expect(page.get_by_text("No data yet")).to_be_visible()
    mine = tmp_path / "empty"
    mine.write_text("")
    page.get_by_label("Upload files").set_input_files(mine)
    page.get_by_role("button", name="empty", exact=True).click()
    expect(page.get_by_text("This file is empty")).to_be_visible()
    page.get_by_role("button", name="Delete empty").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("No data yet")).to_be_visible()


def test_hostile_names_and_contents_of_files_do_nothing(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)
    data = data_of(viewer.person, run)
    script = "<script>top.document.documentElement.dataset.owned=1</script>"
    names = [
        "<img src=x onerror=document.documentElement.dataset.owned=1>.html",
        "picture.svg",
        "readme.md",
        "table.csv",
        "no picture.png",
    ]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{script}</svg>'
    texts = [script, svg, f"{script} [x](javascript:alert(1))", f'"{script}",=1+1\n', script]
    for name, text in zip(names, texts, strict=True):
        (data / name).write_text(text)
    (data / "link").symlink_to("/etc/passwd")
    page = viewer.open(f"/p/{run}/data")
    for name in names:
        page.get_by_role("button", name=name, exact=True).click()
        shown = page.get_by_role("region", name=f"File {name}")
        content = shown.locator(".Preview-content, .Picture-picture img, .EmptyState-empty").first
        expect(content).to_be_visible()
    expect(page.get_by_text("The browser cannot show this image")).to_be_visible()
    assert page.evaluate(OWNED) is None
    assert page.locator("a[href^=javascript]").count() == 0
    # The way out of the directory can be deleted, not followed.
    assert page.get_by_role("button", name="link", exact=True).count() == 0
    assert page.get_by_role("link", name="Download link").count() == 0


def test_the_timeline_is_read_with_keys_and_marks_the_critical_path(viewer: Viewer) -> None:
    run = launch(viewer.person, STEPS)
    settle(viewer.person, run)
    page = viewer.open(f"/p/{run}/timeline")
    expect(page.get_by_role("treeitem")).to_have_count(5)  # with the group of the tests
    expect(page.get_by_role("toolbar", name="Timeline")).to_contain_text(re.compile("4 attempts"))
    path = page.get_by_role("region", name="Critical path")
    expect(path).to_contain_text(
        re.compile(r"Critical path of Run 1.*The bottleneck is tests/long: \d+% of the path")
    )
    facts = page.locator(".BarDetails-facts")
    page.get_by_role("tree").focus()
    page.keyboard.press("Home")
    expect(facts).to_contain_text("/first")
    expect(facts).to_contain_text("critical path")
    page.keyboard.press("ArrowDown")
    group = page.get_by_role("treeitem", name="tests")
    expect(group).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("treeitem")).to_have_count(3)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(facts).to_contain_text("/tests/short")
    expect(facts).not_to_contain_text("critical path")
    page.keyboard.press("ArrowDown")
    expect(facts).to_contain_text("/tests/long")
    page.keyboard.press("+")
    page.get_by_role("button", name="Reset zoom").click()
    expect(page.get_by_role("button", name="Reset zoom")).to_be_disabled()
    page.get_by_role("tree").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"node=%2Ftests%2Flong&attempt=1"))
    expect(page.get_by_role("heading", name="long", exact=True)).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="By worker").click()
    expect(page.get_by_role("listbox", name="Workers")).to_be_visible()
    order = {"action": "reset", "paths": ["/tests/short"]}
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", order)
    page.get_by_role("button", name="Rerun 2").click()
    expect(path).to_contain_text("The bottleneck is tests/short")
    expect(page.get_by_role("toolbar", name="Timeline")).to_contain_text(re.compile("1 attempt,"))


def test_the_timeline_follows_what_happens(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW, run=False)
    page = viewer.open(f"/p/{run}/timeline")
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", {"action": "run"})
    page.get_by_role("treeitem").filter(has_text="slow").click()
    expect(page.locator(".BarDetails-facts")).to_contain_text("running")
    order = {"action": "kill", "paths": ["/slow"]}
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", order)
    expect(page.locator(".BarDetails-facts")).to_contain_text("killed")


def test_a_timeline_opened_without_an_agent_comes_when_it_is_back(viewer: Viewer) -> None:
    run = launch(viewer.person, STEPS)
    settle(viewer.person, run)
    page = viewer.open(f"/p/{run}/images")
    # The page's code is here before the agent goes.
    page.get_by_role("link", name="Timeline").click()
    page.get_by_role("treeitem").first.wait_for()
    page.get_by_role("link", name="Images").click()
    viewer.person.ask("agent", "stop")
    page.get_by_role("link", name="Timeline").click()
    expect(page.get_by_text("Could not load")).to_be_visible()
    expect(page.locator(".Banner-banner")).to_contain_text("the agent does not respond")
    viewer.person.ask("agent", "start")
    expect(page.get_by_role("treeitem")).to_have_count(5)
    expect(page.locator(".Banner-banner")).to_have_count(0)
    viewer.said.clear()  # the browser notes every connection that it could not make


def test_a_timeline_of_thousands_stays_small(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(500, 3))
    settle(viewer.person, run)
    page = viewer.open(f"/p/{run}/timeline")
    page.get_by_role("button", name="All nodes").click()
    expect(page.get_by_text("1,500 nodes")).to_be_visible()
    assert page.evaluate("document.querySelectorAll('*').length") < 1000
    page.get_by_role("tree").focus()
    page.keyboard.press("End")
    expect(page.locator(".BarDetails-facts")).to_contain_text("/g2/n499")
    page.get_by_role("button", name="Show only its group").click()
    expect(page.get_by_text("500 nodes", exact=True)).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_text("3 rows", exact=True)).to_be_visible()


def test_timeline_of_many_nodes_shows_groups_that_can_be_opened(viewer: Viewer) -> None:
    run = launch(viewer.person, wide(150, 3))
    settle(viewer.person, run)
    page = viewer.open(f"/p/{run}/timeline")
    groups = page.get_by_role("tree", name="Nodes")
    expect(groups.get_by_role("treeitem")).to_have_count(3)
    expect(groups.get_by_role("treeitem").first).to_contain_text(
        re.compile(r"g0.*, 150 nodes, at most \d+ running, 1 failed")
    )
    page.locator(".Chart-canvas").hover(position={"x": 40, "y": 12})
    expect(page.locator(".BarDetails-facts")).to_contain_text(re.compile(r"/g0.*\d+ running at "))
    assert viewer.axe() == []
    groups.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".BarDetails-facts")).to_contain_text("/g1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("153 rows", exact=True)).to_be_visible()
    page.get_by_role("treeitem").filter(has_text="g1").click()
    expect(page.get_by_text("3 rows", exact=True)).to_be_visible()
    page.get_by_role("button", name="Show only its group").click()
    expect(page.get_by_text("150 nodes", exact=True)).to_be_visible()
    expect(page.get_by_role("tree", name="Nodes")).to_be_focused()
    expect(page).to_have_url(re.compile(r"root=%2Fg1"))


def test_bar_shows_its_wait_reason(viewer: Viewer) -> None:
    run = launch(viewer.person, IN_TURN)
    settle(viewer.person, run)
    page = viewer.open(f"/p/{run}/timeline")
    page.get_by_role("treeitem").filter(has_text="second").click()
    facts = page.locator(".BarDetails-facts")
    expect(facts).to_contain_text(re.compile(r" (0\.[3-9]|\d\.\d)s for a slot"))
    legend = page.get_by_role("list", name="Legend")
    expect(legend).to_contain_text("waiting for imagewaiting for a slotwaiting for container")


def test_bar_shows_its_wait_reason_while_it_waits(viewer: Viewer, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = IN_TURN.replace("sleep 0.4", f"until test -e {gate}; do sleep 0.2; done")
    run = launch(viewer.person, script, run=False)
    page = viewer.open(f"/p/{run}/timeline")
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", {"action": "run"})
    page.get_by_role("treeitem").filter(has_text="second").click()
    facts = page.locator(".BarDetails-facts")
    expect(facts).to_contain_text("queued")
    expect(facts).to_contain_text(re.compile(r"waited .*\ds for a slot"))
    # A withdrawn node has not been tried.
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", {"action": "pause"})
    expect(page.get_by_role("treeitem")).to_have_count(1)
    agent_api(viewer.person, f"/pipelines/{run}/control", "POST", {"action": "run"})
    expect(page.get_by_role("treeitem")).to_have_count(2)
    gate.touch()
    settle(viewer.person, run)
    expect(facts).to_contain_text("done")
    expect(facts).to_contain_text(re.compile(r"waited .*\ds for a slot.* · ran "))


def test_secrets_are_set_replaced_and_deleted_and_never_shown(viewer: Viewer) -> None:
    responses: list[str] = []
    viewer.page.on(
        "response", lambda one: responses.append(one.text()) if "/secrets" in one.url else None
    )
    page = viewer.open("/secrets")
    page.get_by_role("button", name="Add secret").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Environment variable").fill("WEB_TOKEN")
    # Enter directly after the last key, before the browser paints.
    dialog.get_by_label("Value").evaluate(
        """async (input) => {
            Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")
                .set.call(input, "sesame-open-1234");
            input.dispatchEvent(new Event("input", { bubbles: true }));
            await null;
            input.form.requestSubmit();
        }"""
    )
    row = page.get_by_role("row").filter(has_text="WEB_TOKEN")
    expect(row).to_contain_text("hidden")
    row.get_by_role("button", name="Replace").click()
    dialog.get_by_label("New value").fill("ab")
    dialog.get_by_role("button", name="Replace").click()
    expect(row).to_contain_text("too short to hide")
    assert "sesame" not in page.content() + "".join(responses)
    assert page.evaluate("JSON.stringify([localStorage, sessionStorage])").count("sesame") == 0

    page.get_by_role("button", name="Add secret").click()
    dialog.get_by_label("Environment variable").fill("not a name")
    dialog.get_by_label("Value").fill("x")
    dialog.get_by_role("button", name="Store").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    viewer.said.clear()  # the browser notes the refused request


def test_the_agent_page_says_when_it_does_not_answer(viewer: Viewer) -> None:
    page = viewer.open("/agent")
    expect(page.get_by_role("status").get_by_text("Running", exact=True)).to_be_visible()
    viewer.person.ask("agent", "stop")
    expect(page.get_by_text("Not responding. Showing the last known status.")).to_be_visible()
    viewer.person.ask("agent", "start")
    expect(page.get_by_role("status").get_by_text("Running", exact=True)).to_be_visible()
    viewer.said.clear()  # the browser notes every connection that it could not make


def test_agent_is_stopped_from_its_page_after_an_explanation(viewer: Viewer) -> None:
    run = launch(viewer.person, SLOW)
    page = viewer.open("/agent")
    row = page.get_by_role("listitem").filter(has_text=run)
    expect(row).to_contain_text("1 running")
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("will be killed")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status").get_by_text("Running", exact=True)).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    dialog.get_by_role("button", name="Stop the agent").click()
    expect(page.get_by_text("Not responding. Showing the last known status.")).to_be_visible()
    expect(page.get_by_role("button", name="Stop", exact=True)).to_be_disabled()
    viewer.person.ask("agent", "start")
    expect(page.get_by_role("status").get_by_text("Running", exact=True)).to_be_visible()
    viewer.said.clear()  # the browser notes every connection that it could not make
    assert agent_api(viewer.person, f"/pipelines/{run}")["state"] != "running"


def test_invalid_address_shows_no_pipeline(viewer: Viewer) -> None:
    page = viewer.open("/p/%zz")
    expect(page.get_by_text("not found")).to_be_visible()
    viewer.said.clear()  # the browser notes the refusal


def test_page_whose_code_fails_to_load_shows_an_error_and_the_others_work(viewer: Viewer) -> None:
    # As after an update of the agent, and while it is unreachable.
    viewer.page.route("**/assets/SettingsPage*", lambda route: route.abort())
    page = viewer.open("/")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("alert")).to_contain_text("Could not load this part")
    page.get_by_role("link", name="Secrets").click()
    expect(page.get_by_role("heading", name="Secrets")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("alert")).to_contain_text("Could not load this part")
    viewer.page.unroute("**/assets/SettingsPage*")
    page.get_by_role("button", name="Reload").click()
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    viewer.said.clear()  # the browser notes the failed request and its consequence


def test_unused_resources_are_listed_before_they_are_removed(viewer: Viewer) -> None:
    left = viewer.person.base / viewer.person.profile / "pipelines" / ".discarded-gon-epi"
    left.mkdir(parents=True)
    (left / "large.bin").write_bytes(b"\0" * 3_000_000)
    page = viewer.open("/agent")
    expect(page.get_by_text(re.compile(r"[\d.]+ [kMGT]B of [\d.]+ [kMGT]B"))).to_be_visible()
    page.get_by_role("button", name="Clean up").click()
    dialog = page.get_by_role("dialog")
    row = dialog.get_by_role("row").filter(has_text="gon-epi")
    expect(row).to_contain_text("3.0 MB")
    assert left.exists()
    dialog.get_by_role("button", name=re.compile("^Delete ")).click()
    expect(dialog.get_by_role("heading", name=re.compile("^Deleted .*MB"))).to_be_visible()
    assert not left.exists()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)


def test_signed_out_browser_signs_in_with_a_code(viewer: Viewer) -> None:
    viewer.page.context.clear_cookies()
    page = viewer.open("/secrets")
    expect(page.get_by_text("You are signed out")).to_be_visible()
    expect(page.get_by_text("conducto show --app")).to_be_visible()
    expect(page).to_have_title("Not signed in · Conducto")
    page.get_by_label("Code").fill("abcd-efgh-jkmn")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("valid code")

    page.get_by_label("Code").fill(agent_api(viewer.person, "/agent/login", "POST")["code"])
    page.get_by_role("button", name="Sign in").click()

    expect(page).to_have_url(re.compile("/secrets$"))
    expect(page.get_by_role("heading", name="Secrets")).to_be_visible()
    viewer.said.clear()  # the browser notes the refusal


def test_times_are_shown_as_the_reader_has_chosen(viewer: Viewer) -> None:
    launch(viewer.person, QUICK, run=False)
    page = viewer.open("/settings")
    page.get_by_label("Show times in UTC").check()
    expect(page.get_by_text(re.compile(r"Now: \d\d:\d\d:\d\d UTC"))).to_be_visible()
    page.get_by_label("Show absolute instead").check()
    viewer.open("/")
    expect(page.get_by_role("listitem").first).to_contain_text(
        re.compile(r"\d\d:\d\d UTC|:\d\d UTC")
    )


def test_browser_notifies_the_end_of_a_pipeline_in_the_background(
    person: Person, browser: Browser
) -> None:
    run = launch(person, SLOW)
    with viewer_of(person, browser, permissions=["notifications"]) as viewer:
        page = viewer.open("/settings")
        # What the browser is asked to show; it has no screen here.
        page.evaluate(
            """() => {
              window.told = [];
              window.Notification = class {
                static permission = "granted";
                static requestPermission = async () => "granted";
                constructor(title, options) { window.told.push(`${title}: ${options.body}`); }
              };
            }"""
        )
        with page.expect_response(lambda one: "lifecycle=active" in one.url):
            page.get_by_label("Notify me").check()
        order = {"action": "kill", "paths": ["/slow"]}
        agent_api(person, f"/pipelines/{run}/control", "POST", order)
        page.wait_for_function("() => window.told.some((one) => one.includes('1 killed'))")
        assert page.evaluate("window.told.length") == 1


def test_page_notifies_the_end_of_a_pipeline_if_the_browser_cannot(
    person: Person, browser: Browser
) -> None:
    run = launch(person, SLOW)
    with viewer_of(person, browser, permissions=["notifications"]) as viewer:
        page = viewer.open("/settings")
        # As on Android: it says that it may, and then does not.
        page.evaluate(
            """() => {
              window.Notification = class {
                static permission = "granted";
                static requestPermission = async () => "granted";
                constructor() { throw new TypeError("Illegal constructor"); }
              };
            }"""
        )
        with page.expect_response(lambda one: "lifecycle=active" in one.url):
            page.get_by_label("Notify me").check()
        order = {"action": "kill", "paths": ["/slow"]}
        agent_api(person, f"/pipelines/{run}/control", "POST", order)
        expect(page.get_by_text("1 killed")).to_be_visible()
        expect(page.get_by_role("heading", name="Settings")).to_be_visible()


def test_several_pipelines_are_archived_at_once_after_confirmation_and_restored(
    viewer: Viewer,
) -> None:
    run, other = launch(viewer.person, SLOW), launch(viewer.person, QUICK, run=False)
    page = viewer.open("/")
    for one in (run, other):
        page.get_by_role("listitem").filter(has_text=one).get_by_role("checkbox").check()
    page.get_by_role("button", name="Archive").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 command running now will be killed")
    dialog.get_by_role("button", name="Archive 2 pipelines").click()
    expect(page.get_by_role("listitem").filter(has_text=run)).to_have_count(0)
    expect(page.get_by_role("listitem").filter(has_text=other)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("listitem").filter(has_text=other)).to_be_visible()


def test_settings_hold_after_a_reload(viewer: Viewer) -> None:
    page = viewer.open("/settings")
    page.get_by_label("dark").check()
    page.get_by_label("Confirm every action").check()
    page.get_by_label("Wrap long lines of output").check()
    page.get_by_label("Single-key shortcuts").uncheck()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    run = launch(viewer.person, QUICK)
    viewer.node(run, "/bad")
    page.get_by_role("button", name="Output options").click()
    wrap = page.get_by_role("menuitemcheckbox", name="Wrap")
    expect(wrap).to_have_attribute("aria-checked", "true")
    page.keyboard.press("Escape")
    page.get_by_role("tree").focus()
    page.keyboard.press("e")
    page.get_by_role("button", name="Rerun", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Rerun 1 command?")


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_pages_have_no_serious_accessibility_fault(
    person: Person, browser: Browser, theme: str
) -> None:
    run = launch(person, QUICK)
    data_of(person, run).joinpath("table.csv").write_text("a,b\n1,2\n")
    settle(person, run)
    found: dict[str, list[str]] = {}
    with viewer_of(person, browser, color_scheme=theme) as viewer:
        for path in [*(f"/p/{run}/{one}" for one in PAGES), f"/p/{run}/data?file=table.csv"]:
            _look(viewer, path, found)
        for path in ("/data", "/secrets", "/agent", "/settings"):
            _look(viewer, path, found)
        assert viewer.said == []
    assert {path: ones for path, ones in found.items() if ones} == {}


def _look(viewer: Viewer, path: str, found: dict[str, list[str]]) -> None:
    page = viewer.open(path)
    _wait_for_content(page)
    found[path] = viewer.axe()


def _wait_for_content(page: Page) -> None:
    expect(page.locator("h1").first).to_be_attached()
    expect(page.get_by_text("Loading…")).to_have_count(0)


def test_all_pages_fit_on_a_phone(person: Person, browser: Browser) -> None:
    run = launch(person, QUICK)
    with viewer_of(person, browser, viewport={"width": 360, "height": 740}) as viewer:
        for path in (
            *(f"/p/{run}/{one}" for one in PAGES),
            "/data",
            "/secrets",
            "/agent",
            "/settings",
        ):
            page = viewer.open(path)
            _wait_for_content(page)
            assert page.evaluate(FITS), path
