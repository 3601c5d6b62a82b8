"""The same app, served by a cloud installation: how a browser gets in, and that it works there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from conducto_emulator.moto.server import shared_address
from support.browser import AXE, TIMEOUT_MS, choose, record_console
from support.git_server import git_server
from support.running import Person
from support.stand_ins import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Dialog, Page, Request, Route

pytestmark = pytest.mark.web

SCRIPT = """
import conducto as co

def web() -> co.Serial:
    with co.Serial(image="python:3.11-slim") as root:
        co.Exec("echo kept > /conducto/data/pipeline/kept.txt", name="first")
        co.Exec("echo testing; echo because of 1 >&2; exit 1", name="second")
        co.Exec("echo published", name="third")
    return root

if __name__ == "__main__":
    co.main(default=web)
"""
#: A script for an image that has only Python.
REPOSITORY = """
import conducto as co

def greet(name: str, times: int = 1) -> co.Parallel:
    root = co.Parallel(image="python:3.11-slim")
    for number in range(times):
        root[f"to-{number}"] = co.Exec(f"echo hello {name}")
    return root

co.main(default=greet)
"""
LARGE = 6_000_000


class Installation:
    """An emulated installation with a pipeline in which something failed.

    Attributes:
        person: Is logged in to it.
        run: The pipeline's id.
    """

    def __init__(self, person: Person) -> None:
        person.ask("cloud-emulator", "up")
        self.person = person
        self.token = person.ask("cloud-emulator", "token").stdout.strip()
        self.url = person.ask("cloud-emulator", "status").stdout.split(" at ")[1].split(",")[0]
        login = person.conducto("login", "--url", self.url, "--token", "-", given=self.token)
        assert login.returncode == 0, login.stderr
        script = person.base / "web_pipeline.py"
        script.write_text(SCRIPT)
        run = person.run(script, side="cloud")
        assert run.code == 1, run.stderr
        self.run = run.id

    def address(self, *words: str) -> str:
        """Return a one-time code for a browser; only a private file of the owner contains it."""
        address, code = self.login(*words)
        return f"{address}#code={code}"

    def login(self, *words: str) -> tuple[str, str]:
        """Return an address without access, and a code to enter there."""
        address, line = self.person.ask("show", *words, "--app", "--cloud").stdout.splitlines()
        return address, line.rpartition(" ")[2]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    ensure(["python:3.11-slim", "python:3.13-slim"])
    person = Person(tmp_path_factory.mktemp("cloud"))
    try:
        yield Installation(person)
    finally:
        person.conducto("cloud-emulator", "down")


@pytest.fixture
def said() -> list[str]:
    """Return the page's console output; a test that expects some takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, said: list[str]) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, permissions=["clipboard-read", "clipboard-write"]
    )
    made = context.new_page()
    made.set_default_timeout(TIMEOUT_MS)
    record_console(made, said)
    yield made
    context.close()
    assert said == []


def refusals_only(said: list[str]) -> None:
    """Remove the browser's own notes of a rejection: a page cannot prevent them.

    A token is not a valid code, as the page learns from a 403. An installation without an identity
    provider has no settings of one, as the page learns from a 404.
    """
    assert said
    assert all(any(code in one for code in ("401", "403", "404")) for one in said), said
    said.clear()


def let_in(page: Page, installation: Installation) -> str:
    """Sign a page in at the pipeline; return where the app is."""
    page.goto(installation.address(installation.run))
    expect(page.get_by_role("heading", name="web_pipeline.py web", level=1)).to_be_visible()
    return page.url.partition("/p/")[0]


def test_login_code_works_once_and_is_removed_from_the_address(
    installation: Installation, page: Page, browser: Browser, said: list[str]
) -> None:
    address = installation.address(installation.run)
    code = address.partition("#code=")[2]
    page.goto(address)

    expect(page.locator("[data-row='/second']")).to_contain_text("exit 1")
    assert code
    assert code not in page.url
    expect(page.get_by_text("Signed in as me of local")).to_be_visible()
    assert page.url.endswith(f"/p/{installation.run}")
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    assert cookie["value"] != installation.token
    kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
    assert "cdo_" not in kept

    other = browser.new_context()
    stranger = other.new_page()
    stranger.goto(address)
    expect(stranger.get_by_text("This sign-in link has expired")).to_be_visible()
    other.close()
    page.goto("about:blank")
    page.goto(address)  # in a browser that is signed in an old address leads to its page
    expect(page.locator("[data-row='/second']")).to_contain_text("exit 1")
    refusals_only(said)


def test_foreign_code_changes_nothing_without_confirmation(
    installation: Installation, page: Page
) -> None:
    let_in(page, installation)
    before = page.context.cookies()[0]["value"]
    page.goto(installation.address())  # the user's own again
    expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
    assert page.context.cookies()[0]["value"] == before

    page.route("**/whoami", lambda route: route.fulfill(json={"user": "ada", "org": "elsewhere"}))
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.once("dialog", refuse)
    page.goto("about:blank")
    page.goto(installation.address())
    expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
    (question,) = asked
    assert "as me of local" in question
    assert "as ada of elsewhere" in question
    assert page.context.cookies()[0]["value"] == before

    page.once("dialog", lambda dialog: dialog.accept())
    page.goto("about:blank")
    page.goto(installation.address())
    expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
    assert page.context.cookies()[0]["value"] != before


def test_a_token_lets_in_and_signing_out_ends_it(
    installation: Installation, page: Page, said: list[str]
) -> None:
    base = installation.login()[0].rstrip("/")
    page.goto(base)
    field = page.get_by_label("Code or token")
    field.fill("cdo_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    field.fill(installation.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
    before = page.context.cookies()[0]["value"]

    page.get_by_role("link", name="Account").click()
    expect(page.get_by_label("Signed in as")).to_contain_text("local")
    page.get_by_role("button", name="Sign out").click()

    expect(page.get_by_text("You are signed out")).to_be_visible()
    assert page.context.cookies() == []
    response = page.request.get(
        f"{installation.url}/api/v1/whoami", headers={"Authorization": f"Bearer {before}"}
    )
    assert response.status == 401
    refusals_only(said)


def test_launch_buttons_are_hidden_without_the_permission(
    installation: Installation, page: Page
) -> None:
    base = let_in(page, installation)

    def refuse_launch(route: Route) -> None:
        response = route.fetch()
        who = response.json()
        who["permissions"].remove("launch")
        route.fulfill(response=response, json=who)

    for count in (1, 0):
        page.goto(base)
        expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Launch from Git")).to_have_count(count)
        page.get_by_role("link", name="Triggers").click()
        expect(page.get_by_text("No triggers", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="Add trigger")).to_have_count(count)
        page.route("**/api/v1/whoami", refuse_launch)


def test_a_code_is_entered_where_no_file_can_be_opened(
    installation: Installation, page: Page, said: list[str]
) -> None:
    address, code = installation.login(installation.run)
    page.goto(address)
    page.get_by_label("Code or token").fill(code)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="web_pipeline.py web", level=1)).to_be_visible()
    refusals_only(said)


def test_failure_is_found_fixed_and_the_pipeline_continues(
    installation: Installation, page: Page
) -> None:
    let_in(page, installation)
    page.get_by_role("button", name="Next failure").click()
    expect(page.locator(".LogLines-lines")).to_contain_text("because of 1")
    choose(page, "Node actions", "Modify")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Command").fill("echo mended")
    dialog.get_by_role("button", name="Modify and rerun").click()

    # By the stream alone: nothing is reloaded.
    page.evaluate("window.sameDocument = true")
    expect(page.locator(".PipelineHead-head")).to_contain_text("3 done", timeout=60_000)
    assert page.evaluate("window.sameDocument")
    expect(page.locator(".LogLines-lines")).to_contain_text("mended")
    page.get_by_role("button", name="Rerun", exact=True).click()
    expect(page.get_by_role("tab", name="History 3")).to_be_visible(timeout=60_000)


def test_every_page_of_a_pipeline_opens(installation: Installation, page: Page) -> None:
    base = let_in(page, installation)
    for path, words in (
        ("timeline", "nodes"),
        ("images", "python-3-11-slim"),
        ("data", "kept.txt"),
    ):
        page.goto(f"{base}/p/{installation.run}/{path}")
        expect(page.locator("main")).to_contain_text(words)
    page.goto(f"{base}/secrets")
    expect(page.get_by_text("No secrets yet")).to_be_visible()
    page.goto(f"{base}/settings")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_text("Agent", exact=True)).to_have_count(0)
    page.goto(f"{base}/agent")
    expect(page.get_by_role("heading", name="Page not found", level=1)).to_be_visible()


def test_files_go_up_and_down_also_those_too_large_for_a_function(
    installation: Installation, page: Page, tmp_path: Path
) -> None:
    base = let_in(page, installation)
    large = tmp_path / "large.bin"
    large.write_bytes(b"0123456789" * (LARGE // 10))
    (tmp_path / "small.txt").write_text("a small one")
    page.goto(f"{base}/p/{installation.run}/data")

    page.get_by_label("Upload files").set_input_files([large, tmp_path / "small.txt"])

    down = page.get_by_role("link", name="Download large.bin")
    expect(down).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="small.txt", exact=True).click()
    expect(page.locator("main")).to_contain_text("a small one")
    with page.expect_download() as download:
        down.click()
    assert download.value.path().read_bytes() == large.read_bytes()


def test_output_and_the_report_are_saved_as_files(installation: Installation, page: Page) -> None:
    base = let_in(page, installation)
    page.goto(f"{base}/p/{installation.run}?node=/second&attempt=1")
    with page.expect_download() as output:
        choose(page, "Output options", "Download stderr")
    with page.expect_download() as report:
        choose(page, "More", "Download report")

    assert "because of 1" in output.value.path().read_text()
    assert "web_pipeline.py web" in report.value.path().read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_its_own_pages_are_accessible(
    installation: Installation, page: Page, said: list[str], theme: str
) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    base = installation.login()[0].rstrip("/")
    page.goto(base)
    expect(page.get_by_label("Code or token")).to_be_visible()
    assert serious(page) == []
    page.goto(installation.address())  # in a tab that has the app open
    expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
    refusals_only(said)  # the list asks every few seconds
    page.goto(f"{base}/account")
    expect(page.get_by_label("Signed in as")).to_be_visible()
    expect(page.get_by_role("table").last).to_be_visible()
    assert serious(page) == []


#: Parts of the page in which something is out of view to the right.
WIDER = """() => [document.documentElement, ...document.querySelectorAll('.App-main, .card')]
    .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.className || 'page')"""


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_costs_and_tables_of_the_organisation_are_readable_in_any_window(
    installation: Installation, page: Page, theme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=theme)
    base = let_in(page, installation)
    cost = page.get_by_role("region", name="Cost")
    expect(cost).to_contain_text("Idle workers")
    expect(cost.get_by_role("link", name="second")).to_be_visible()
    rows = {"usage": "web_pipeline.py web", "audit": "launch", "plan": "does not bill"}
    found = {"cost": [*serious(page), *wider(page)]}
    for name, text in rows.items():
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(f"{base}/organisation/{name}")
        expect(page.get_by_text(text).first).to_be_visible()
        found[name] = [*serious(page), *wider(page)]
    assert {name: ones for name, ones in found.items() if ones} == {}


def test_audit_log_shows_a_request_without_an_end_as_unknown(
    installation: Installation, page: Page
) -> None:
    def interrupted(route: Route) -> None:
        response = route.fetch()
        found = response.json()
        found["entries"][0]["status"] = None
        route.fulfill(response=response, json=found)

    base = let_in(page, installation)
    page.route("**/api/v1/audit*", interrupted)
    page.goto(f"{base}/organisation/audit")

    cell = page.get_by_role("cell", name="unknown")
    expect(cell).to_have_count(1)
    expect(cell).to_have_attribute("title", re.compile("may have been executed"))


def wider(page: Page) -> list[str]:
    page.set_viewport_size({"width": 390, "height": 844})
    parts: list[str] = page.evaluate(WIDER)
    return parts


def serious(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run()).violations")
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]


def test_unreachable_cloud_is_reported_and_reconnects_by_itself(
    installation: Installation, page: Page, said: list[str]
) -> None:
    base = let_in(page, installation)
    page.goto(base)
    expect(page.get_by_role("link", name="web_pipeline.py web", exact=True)).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator(".Banner-banner")).to_contain_text("the installation does not respond")
    expect(page.locator(".Banner-banner")).not_to_contain_text("conducto list")
    page.context.set_offline(False)
    expect(page.locator(".Banner-banner")).to_have_count(0)
    said.clear()  # the browser adds its own note of a request without a response


REMOTE_SCRIPT = """
import conducto as co

def remote() -> co.Serial:
    with co.Serial() as root:
        co.Exec("echo first", name="first")
        command = "test -e {0} || {{ touch {0}; echo missing >&2; exit 1; }}; echo found"
        co.Exec(command, name="check")
    return root

if __name__ == "__main__":
    co.main(default=remote)
"""


#: Requests of the app that are about no pipeline of an agent.
OF_THE_CLOUD = re.compile(
    r"/api/v1/(whoami|agents|organisation|sessions|usage|plan|audit|schedules|pipelines\?(?!.*(parent|history)))"
)


CONTAINED_SCRIPT = """
import conducto as co

def contained() -> co.Serial:
    with co.Serial(image="python:3.11-slim") as root:
        co.Exec("echo from the node; exit 3", name="bad")
    return root

if __name__ == "__main__":
    co.main(default=contained)
"""


@pytest.fixture
def laptop(installation: Installation, tmp_path: Path) -> Iterator[Person]:
    """Yield a person with an agent of their own, on "another machine" that is linked."""
    person = Person(tmp_path)
    login = ("login", "--url", installation.url, "--token", "-")
    assert person.conducto(*login, given=installation.token).returncode == 0
    person.ask("agent", "link")
    yield person
    person.ask("agent", "stop")


def test_pipeline_on_another_machine_is_controlled_through_its_agent(
    installation: Installation, laptop: Person, page: Page, said: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "remote.py"
    script.write_text(REMOTE_SCRIPT.format(tmp_path / "marker"))
    run = laptop.run(script, "--engine", "process")
    assert run.code == 1, run.stderr
    page.goto(installation.address())
    row = page.get_by_role("listitem").filter(has_text=run.id).last
    expect(row).to_contain_text("on ")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="remote.py remote", level=1)).to_be_visible()
    assert page.url.partition("?")[0].endswith(f"/p/{run.id}")
    check = page.locator("[data-row='/check']")
    expect(check).to_contain_text("exit 1")
    check.click()
    expect(page.get_by_text("missing", exact=True).first).to_be_visible()

    page.get_by_role("button", name="Rerun failed").first.click()
    expect(page.get_by_text("found", exact=True).first).to_be_visible()
    expect(page.get_by_role("heading", level=1).locator("..")).to_contain_text("done")
    assert laptop.read("show", run.id)["state"] == "done"

    not_relayed: list[str] = []

    def look(request: Request) -> None:
        address = request.url.partition(installation.url.partition("://")[2])[2] or request.url
        if "/api/v1/" in address and "agent=" not in address and not OF_THE_CLOUD.search(address):
            not_relayed.append(address)

    page.on("request", look)
    base, query = page.url.partition("?")[0], "?node=/check"
    for place in ("", query, f"{query}&tab=history", "/timeline", "/images", "/data", "/launch"):
        page.goto(f"{base}{place}")
        page.wait_for_load_state("networkidle")
    page.remove_listener("request", look)
    assert not_relayed == []
    page.goto(base)

    laptop.ask("agent", "stop")
    banner = page.get_by_role("status").filter(has_text="is offline")
    expect(banner).to_contain_text("Start it with: conducto agent start", timeout=60_000)
    laptop.ask("agent", "start")
    expect(banner).to_be_hidden(timeout=60_000)
    assert all("503" in one for one in said), said
    said.clear()

    shell_of_the_machine(installation, laptop, page)
    page.goto(page.url.partition("/a/")[0] + "/agents")
    expect(page.get_by_text("read, control, debug")).to_be_visible()
    page.get_by_role("button", name="Forget").click()
    page.get_by_role("button", name="Forget", exact=True).last.click()
    expect(page.get_by_text("No machines are linked")).to_be_visible()


def shell_of_the_machine(installation: Installation, laptop: Person, page: Page) -> None:
    """Open shells in containers on the machine, until its policy does not allow them."""
    script = laptop.base / "contained.py"
    script.write_text(CONTAINED_SCRIPT)
    run = laptop.run(script)
    assert run.code == 1, run.stderr
    machine = re.search(r"/a/\w+/p/", page.url)
    assert machine is not None
    page.goto(f"{page.url.partition('/a/')[0]}{machine[0]}{run.id}?node=/bad")
    page.get_by_role("button", name="Debug", exact=True).click()
    expect(page.get_by_role("menuitem", name="Copy debug command")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Open shell")).to_have_count(0)

    laptop.ask("agent", "link", "--allow", "read,control,debug")
    shell = page.get_by_role("region", name="Shell in /bad")
    for _ in range(2):
        page.reload()
        choose(page, "Debug", "Open shell")
        expect(shell.get_by_role("status")).to_have_text("Connected")
        page.keyboard.type("sh /conducto/cmd.sh; echo code=$?\n")
        expect(page.locator(".xterm-rows")).to_contain_text("code=3")
        page.keyboard.type("seq 20000 | tail -n 1; exit 5\n")
        expect(shell.get_by_role("alert")).to_contain_text("Shell ended with exit code 5")
    shell.get_by_role("button", name="Reconnect").click()
    expect(shell.get_by_role("status")).to_have_text("Connected")
    laptop.ask("agent", "link", "--allow", "read,control")
    expect(shell.get_by_role("alert")).to_contain_text("conducto agent link --allow")
    laptop.ask("agent", "link", "--allow", "read,control,debug")
    reference = machine[0].strip("/").replace("/p", f"/{run.id}")
    typed = "echo $((6*7)) apples; exit 4\n"
    other = installation.person.conducto("debug", reference, "/bad", given=typed)
    assert (other.returncode, "42 apples" in other.stdout) == (4, True), other.stderr
    printed = installation.person.conducto("debug", reference, "/bad", "--print")
    assert "--print: the container is on the machine" in printed.stderr
    entries = installation.person.read("audit")["entries"]
    operations = [entry["operation"] for entry in entries]
    assert operations.count("shell") == operations.count("shell_ended") == 4


def test_script_is_launched_from_a_git_repository(
    installation: Installation, page: Page, said: list[str], tmp_path: Path
) -> None:
    with git_server(tmp_path, shared_address()) as server:
        server.repository("acme/app", {"ci/pipeline.py": REPOSITORY})
        place = let_in(page, installation)
        page.goto(place)
        page.get_by_role("button", name="Launch from Git").click()
        expect(page.get_by_role("heading", name="Launch from Git", level=1)).to_be_visible()
        launch = page.get_by_role("button", name="Launch", exact=True)
        launch.click()
        url = page.get_by_role("textbox", name="Repository")
        expect(url).to_be_focused()
        expect(page.get_by_role("alert")).to_contain_text("enter the address of a repository")
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run().then(({violations}) => violations.map(({id}) => id))")
        assert found == []

        url.fill(f"{server.url}/acme/other")
        page.get_by_role("textbox", name="Script").fill("ci/pipeline.py")
        page.get_by_label("Function and parameters").fill("greet --name='A B' --times=2")
        page.get_by_role("textbox", name="Image").fill("python:3.11-slim")
        launch.click()
        expect(page.get_by_role("alert")).to_contain_text("does not exist, or is private")
        url.fill(f"{server.url}/acme/app")
        page.get_by_label("Branch, tag or commit").fill("gone")
        launch.click()
        expect(page.get_by_role("alert")).to_contain_text("has no branch or tag 'gone'")
        expect(page.get_by_label("Branch, tag or commit")).to_be_focused()
        page.get_by_label("Branch, tag or commit").fill("")
        launch.dblclick()
        expect(page).to_have_url(re.compile("/p/[a-z-]+$"))
        expect(page.get_by_role("heading", level=1)).to_contain_text(
            "acme/app ci/pipeline.py greet"
        )
        expect(page.locator(".PipelineHead-head")).to_contain_text("3 done", timeout=120_000)
        listed = installation.person.ask("list", "--cloud", "--json").stdout
        assert listed.count('"title": "acme/app') == 1
        page.get_by_role("button", name="Launch again").click()
        page.get_by_role("button", name="Launch from Git").click()
        expect(page.get_by_label("Function and parameters")).to_have_value(
            "greet '--name=A B' --times=2"
        )
        expect(page.get_by_role("textbox", name="Script")).to_have_value("ci/pipeline.py")
    assert all(any(code in one for code in ("409", "404")) for one in said), said
    said.clear()
