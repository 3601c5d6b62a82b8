"""The debug shell in the page: the same as in a terminal, and no trap for keys, eyes or secrets."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, choose, eventually, launched_person, viewer_of
from support.stand_ins import call
from system.web.scripts import QUICK, launch

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

    from support.browser import Viewer
    from support.running import Person

pytestmark = pytest.mark.web

#: One that fails in a container and leaves something behind.
FAILING = """
    with co.Serial(image="python:3.11-slim", snapshot_on_error=True) as root:
        co.Exec("echo from the node; touch /left-behind; exit 3", name="bad")
        co.Exec("echo after", name="after")
"""


@pytest.fixture(scope="module")
def failed(person: Person) -> str:
    """A pipeline that has failed."""
    run = launch(person, FAILING, engine="docker")
    eventually(lambda: agent_api(person, f"/pipelines/{run}")["settled"], 60)
    return run


def containers(run: str) -> list[str]:
    """Return the ids of the pipeline's debug containers."""
    labels = json.dumps({"label": [f"com.conducto.debug={run}"]})
    found = json.loads(call("GET", "/containers/json", {"all": "1", "filters": labels})[1])
    return [one["Id"] for one in found]


@pytest.fixture(autouse=True)
def no_container_is_left(failed: str, viewer: Viewer) -> Any:
    yield
    viewer.page.goto("about:blank")
    eventually(lambda: not containers(failed))


def opened(viewer: Viewer, run: str, button: str = "Open shell") -> Page:
    """Open the shell of the node that failed, and see its prompt."""
    page = viewer.node(run, "/bad")
    choose(page, "Debug", button)
    expect(rows(page)).to_contain_text(re.compile(r"[#$]"))
    return page


def answered(viewer: Viewer, run: str) -> Page:
    """Open the node that failed; what the agent says of shells has come, and is drawn."""
    with viewer.page.expect_response("**/api/v1/agent"):
        page = viewer.node(run, "/bad")
    page.get_by_role("button", name="Debug", exact=True).click()
    expect(page.get_by_role("menuitem", name="Copy debug command")).to_be_visible()
    for _ in range(10):
        page.evaluate("() => new Promise(requestAnimationFrame)")
    return page


def rows(page: Page) -> Locator:
    return page.locator(".xterm-rows")


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Shell in /bad")


def is_focused(part: Locator) -> bool:
    return bool(part.evaluate("element => element === document.activeElement"))


def test_the_command_runs_in_the_page_as_it_ran_in_the_pipeline(
    viewer: Viewer, failed: str
) -> None:
    page = opened(viewer, failed)
    assert len(containers(failed)) == 1
    expect(panel(page)).to_contain_text("Shell in the environment of attempt 1")
    page.keyboard.type("sh /conducto/cmd.sh; echo code=$?\n")
    expect(rows(page)).to_contain_text("from the node")
    expect(rows(page)).to_contain_text("code=3")

    page.keyboard.type("exit 5\n")

    expect(panel(page).get_by_role("alert")).to_have_text(
        "Shell ended with exit code 5. Its container was removed."
    )
    assert containers(failed) == []
    expect(rows(page)).to_contain_text("from the node")  # earlier output can still be read

    page.get_by_role("button", name="Reconnect").click()
    expect(panel(page).get_by_role("status")).to_have_text("Connected")
    page.get_by_role("button", name="End shell").click()
    expect(panel(page)).to_have_count(0)


def test_the_copyable_command_stays_beside_it(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)

    page.get_by_role("button", name="Debug", exact=True).click()
    expect(page.get_by_role("menuitem", name="Copy debug command")).to_be_visible()
    expect(page.get_by_text(f"conducto debug {failed} /bad", exact=True)).to_be_visible()


def test_keys_go_to_the_shell_until_a_key_that_is_shown_leaves_it(
    viewer: Viewer, failed: str
) -> None:
    page = opened(viewer, failed)
    terminal = panel(page).get_by_role("textbox", name="Shell in /bad")
    expect(terminal).to_be_focused()
    expect(panel(page)).to_contain_text("Ctrl+Shift+L to leave the terminal")

    page.keyboard.type("ec")
    page.keyboard.press("Tab")
    page.keyboard.type(" '?'rdsk\n")  # each of these is an action elsewhere on the page
    expect(rows(page)).to_contain_text("?rdsk")
    assert is_focused(terminal)

    page.keyboard.press("Control+Shift+L")
    expect(page.get_by_role("button", name="End shell")).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel(page)).to_have_count(0)
    expect(page.locator("[data-node-pane]")).to_be_focused()


def test_a_snapshot_opens_as_the_command_left_it(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed, "Open snapshot")

    page.keyboard.type("ls /left-b*\n")

    expect(rows(page)).to_contain_text(re.compile(r"/left-behind"))


def test_a_shell_stays_open_while_its_node_is_not_in_view(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    page.keyboard.type("A=kept-in-this-shell\n")

    page.locator("[data-row='/after']").click()
    expect(panel(page)).to_have_count(0)
    page.locator("[data-row='/bad']").click()
    expect(rows(page)).to_be_visible()
    page.locator(".xterm-screen").click()
    page.keyboard.type("echo $A\n")

    expect(rows(page)).to_contain_text(re.compile(r"kept-in-this-shell\s*\n?.*kept-in-this-shell"))


def test_a_page_that_is_closed_takes_the_container_along(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    assert len(containers(failed)) == 1

    page.goto("about:blank")

    eventually(lambda: not containers(failed))


def test_crashed_agent_is_reported_and_the_next_one_opens_another_shell(
    browser: Browser, tmp_path: Path
) -> None:
    with launched_person(tmp_path) as own:
        run = launch(own, FAILING, engine="docker")
        eventually(lambda: agent_api(own, f"/pipelines/{run}")["settled"], 60)
        with viewer_of(own, browser) as viewer:
            page = opened(viewer, run)
            state = json.loads((own.base / own.profile / "agent" / "agent.json").read_text())

            os.kill(state["pid"], signal.SIGKILL)

            expect(panel(page).get_by_role("alert")).to_have_text(
                "Connection lost. The shell and its container were removed."
            )
            eventually(lambda: not containers(run))
            own.ask("agent", "start")
            page.get_by_role("button", name="Reconnect").click()
            expect(panel(page).get_by_role("status")).to_have_text("Connected")
        eventually(lambda: not containers(run))


def test_a_flood_of_output_leaves_the_page_usable(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    page.keyboard.type("yes | head -c 4000000; echo 'the'' end'\n")

    expect(rows(page)).to_contain_text("the end", timeout=60_000)

    page.keyboard.type("clear; echo still' 'there\n")
    expect(rows(page)).to_contain_text("still there")


def test_the_terminal_follows_the_size_of_the_window(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    page.keyboard.type("stty size\n")
    expect(rows(page)).to_contain_text(re.compile(r"\d+ \d+"))
    before = re.findall(r"(\d+) (\d+)", rows(page).inner_text())[-1]

    page.set_viewport_size({"width": 900, "height": 500})
    page.keyboard.type("clear; stty size\n")

    def changed() -> bool:
        found = re.findall(r"(\d+) (\d+)", rows(page).inner_text())
        return len(found) > 0 and found[-1] != before

    eventually(changed)


def test_colours_of_the_program_are_shown(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    page.keyboard.type(r"printf '\033[31mred\033[0m \033[38;2;10;160;90mgreen\033[0m\n'" + "\n")

    red = rows(page).locator("span", has_text=re.compile(r"^red$"))
    green = rows(page).locator("span", has_text=re.compile(r"^green$"))

    colour = "element => getComputedStyle(element).color"
    plain = panel(page).evaluate(colour)
    assert len({plain, red.evaluate(colour), green.evaluate(colour)}) == 3


def test_output_of_a_program_cannot_escape_the_terminal(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    title = page.title()
    page.evaluate("navigator.clipboard.writeText('mine')")
    hostile = (
        r"\033]0;title\007"  # a title
        r"\033]52;c;c3RvbGVu\007"  # the clipboard
        r"\033]8;;javascript:alert(1)\007link\033]8;;\007"
        r"<img src=x onerror=alert(1)>"
    )
    page.keyboard.type(f"printf '{hostile}'\n")
    expect(rows(page)).to_contain_text("link<img src=x")

    assert page.title() == title
    assert page.evaluate("navigator.clipboard.readText()") == "mine"
    assert rows(page).locator("a, img").count() == 0
    assert page.locator(".xterm-link-layer a").count() == 0


def test_pasted_content_is_text(viewer: Viewer, failed: str) -> None:
    page = opened(viewer, failed)
    page.evaluate("navigator.clipboard.writeText('echo one\\x1b[201~\\x07two')")

    page.keyboard.press("Control+V")
    page.keyboard.press("Enter")

    expect(rows(page)).to_contain_text(re.compile(r"one\[201~twoone\[201~two"))


def test_rejection_is_shown_in_place_of_the_shell(viewer: Viewer, failed: str) -> None:
    page = viewer.node(failed, "/bad")
    page.route(
        "**/shell",
        lambda route: route.fulfill(
            status=409,
            content_type="application/problem+json",
            body=json.dumps(
                {
                    "type": "about:blank",
                    "title": "refused",
                    "status": 409,
                    "detail": "/bad: 4 shells are open in pages",
                    "path": None,
                    "remedy": None,
                }
            ),
        ),
    )
    choose(page, "Debug", "Open shell")

    expect(panel(page).get_by_role("alert")).to_have_text(
        "Could not open the shell: /bad: 4 shells are open in pages"
    )
    viewer.said.clear()  # the browser notes every refused request


def test_there_is_no_button_where_there_is_no_container(viewer: Viewer) -> None:
    run = launch(viewer.person, QUICK)

    page = answered(viewer, run)

    expect(page.get_by_role("menuitem", name="Open shell")).to_have_count(0)


def test_there_is_no_button_where_the_agent_does_not_allow_it(viewer: Viewer, failed: str) -> None:
    def without(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "shell": False})

    viewer.page.route("**/api/v1/agent", without)

    page = answered(viewer, failed)

    expect(page.get_by_role("menuitem", name="Open shell")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_overview_has_no_serious_accessibility_fault(
    person: Person, browser: Browser, failed: str, theme: str
) -> None:
    with viewer_of(person, browser, color_scheme=theme) as viewer:
        page = opened(viewer, failed)
        page.keyboard.type(
            "ls --color=always /; printf '\\033[34mblue \\033[93myellow\\033[0m\\n'\n"
        )
        expect(rows(page)).to_contain_text("blue yellow")
        while_open = viewer.axe()
        panel(page).get_by_role("button", name="Screen reader").click()
        read_aloud = viewer.axe()
        page.locator(".xterm-screen").click()
        page.keyboard.type("exit\n")
        expect(panel(page).get_by_role("alert")).to_be_visible()
        ended = viewer.axe()

    assert (while_open, read_aloud, ended) == ([], [], [])
    assert viewer.said == []


def test_terminals_are_not_part_of_the_first_load(viewer: Viewer, failed: str) -> None:
    loaded: list[str] = []
    viewer.page.on("request", lambda request: loaded.append(urlsplit(request.url).path))
    page = viewer.node(failed, "/bad")
    before = [one for one in loaded if "ShellPanel" in one]

    choose(page, "Debug", "Open shell")
    expect(rows(page)).to_be_visible()

    assert before == []
    assert [one for one in loaded if "ShellPanel" in one] != []
