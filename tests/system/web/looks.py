"""Every page of the web app in every possible state, and rules for its appearance.

`test_looks.py` opens them all; where the environment's ``LOOKS`` names a directory, each leaves a
picture there for a review (``make looks``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from docs.screenshots import release

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.run.model.requests import LaunchRequest
from support.browser import agent_api, eventually
from support.partitions import with_partition
from support.running import Person

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route, WebSocketRoute

    from support.browser import Viewer

Answer = Literal["real", "never", "failure", "none", "gone", "nobody"]
"""How the agent answers: as it is; not at all yet; with a failure of its own; it cannot be
reached; it could be at first; it does not know the browser."""

API = "**/api/v1/**"
SETTLED_MS = 700
FAILURE = {
    "type": "about:blank",
    "title": "unexpected error",
    "status": 500,
    "detail": "the agent could not answer: disk I/O error",
    "path": None,
    "remedy": "see its log: conducto agent status",
}
_TABLE = "| model | accuracy |\n|-------|----------|\n| tree | 0.91 |\n\n"
#: Nobody would call a pipeline so, but somebody's script will.
LONG = "nightly-" + "rebuild-of-everything-that-depends-on-" * 4 + "zlib"


@dataclass(frozen=True)
class Look:
    """A page in a state.

    Attributes:
        path: Address; ``{name}`` is the id of a pipeline of the world.
        ready: Selector of an element in view as soon as the state is reached.
        response: How the agent answers.
        world: The agent: one with much history, or one without any.
        press: Selectors of the elements that lead to the state.
    """

    name: str
    path: str
    ready: str
    response: Answer = "real"
    world: Literal["full", "empty"] = "full"
    press: tuple[str, ...] = ()


PAGES: dict[str, tuple[str, str]] = {
    "pipelines": ("/", ".PipelineRow-title"),
    "pipeline": ("/p/{shop}", ".Reasons-lines"),
    "timeline": ("/p/{shop}/timeline", ".Chart-label"),
    "images": ("/p/{shop}/images", "h1"),
    "data": ("/p/{shop}/data", ".EntryTable-row"),
    "tests": ("/p/{tested}/tests", ".TestsPage-tests"),
    "launch": ("/p/{scripted}/launch", ".LaunchPage-form"),
    "program": ("/program?title=Integration+tests", ".ProgramPage-columns"),
    "activity": ("/activity", ".Activity-headline"),
    "schedules": ("/schedules", ".list"),
    "schedule": ("/schedules/nightly", ".list"),
    "notifications": ("/notifications", ".list"),
    "user_data": ("/data", ".EntryTable-row"),
    "secrets": ("/secrets", ".list"),
    "agent": ("/agent", ".Facts-list"),
}
#: Text shown for an empty response, and for a failure.
NOTHING_YET = ":text('Loading')"
FAILED = "[role=alert]"
AWAY = ".Banner-banner"

LOOKS = (
    *(Look(name, path, ready) for name, (path, ready) in PAGES.items()),
    *(Look(f"{n}-loading", path, NOTHING_YET, "never") for n, (path, _) in PAGES.items()),
    *(Look(f"{n}-error", path, FAILED, "failure") for n, (path, _) in PAGES.items()),
    *(Look(f"{n}-offline", path, FAILED, "none") for n, (path, _) in PAGES.items()),
    *(Look(f"{n}-lost", path, AWAY, "gone") for n, (path, _) in PAGES.items()),
    *(
        Look(f"{n}-empty", path, ".EmptyState-empty", world="empty")
        for n, (path, _) in PAGES.items()
        if "{" not in path and n not in ("agent", "schedule")
    ),
    Look("agent-empty", "/agent", ".Facts-list", world="empty"),
    Look("settings", "/settings", ".SettingsPage-card"),
    Look("unknown", "/nowhere/at/all", ".EmptyState-empty"),
    Look("unknown-pipeline", "/p/nosuchone", ".EmptyState-empty"),
    Look("signed-out", "/", ".EmptyState-empty", "nobody"),
    Look("signed-out-pipeline", "/p/{shop}", ".EmptyState-empty", "nobody"),
    Look("pipelines-none-match", "/?text=nothing-is-called-so", ".EmptyState-empty"),
    Look("pipelines-archived", "/?lifecycle=archived", ".PipelineRow-title"),
    Look("node-output", "/p/{shop}?node=/test/payment", ".LogLines-lines :text('AssertionError')"),
    *(
        Look(
            f"node-{tab.lower()}",
            "/p/{shop}?node=/test/payment",
            f"#panel-{tab.lower()}",
            press=(f"[role=tab]:has-text('{tab}')",),
        )
        for tab in ("History", "Details", "Files")
    ),
    Look("group-output", "/p/{shop}?node=/test&tab=output", "[role=log]"),
    Look("root-output", "/p/{shop}?tab=output&level=error", ".MergedTab-truth"),
    Look("group-output-none", "/p/{shop}?node=/test&tab=output&find=nowhere", ".EmptyState-empty"),
    Look("search", "/p/{shop}?q=echo", "[role=option]"),
    Look("node-waiting", "/p/{waiting}?node=/publish", "[data-node-pane]"),
    Look("reports", "/p/{shop}?node=/", ".ReportsSection-report .Markdown-markdown"),
    Look("pipeline-waiting", "/p/{waiting}", "[data-row]"),
    Look("pipeline-running", "/p/{running}", "[data-row]"),
    Look("pipeline-long", "/p/{long}", "[data-row]"),
    Look("timeline-waiting", "/p/{waiting}/timeline", ".EmptyState-empty"),
    Look("data-nothing", "/p/{waiting}/data", ".EmptyState-empty"),
    Look("data-file", "/p/{shop}/data?file=scores.csv", ".Preview-content table"),
    Look("pipeline-100000", "/p/{large}", "[data-row]:nth-child(3)"),
    Look("timeline-100000", "/p/{large}/timeline", ".Chart-label"),
    Look("timeline-groups", "/p/{stages}/timeline", ".Chart-label"),
    Look("timeline-every-node", "/p/{stages}/timeline?rows=all", ".Chart-label"),
    Look("images-100000", "/p/{large}/images", "h1"),
    Look("pipelines-chosen", "/", ".Bulk-bar", press=("[aria-label='Select all']",)),
    Look(
        "pipelines-archive",
        "/",
        ".Dialog-dialog",
        press=("[aria-label='Select all']", "button:text-is('Archive')"),
    ),
    Look("schedules-add", "/schedules", ".Dialog-dialog", press=("button:text('Add schedule')",)),
    Look(
        "notifications-add", "/notifications", ".Dialog-dialog", press=("button:text('Add rule')",)
    ),
    Look("approval", "/p/{asking}", "a:text-is('Review')"),
    Look("approval-node", "/p/{asking}?node=/ask", "button:text-is('Approve')"),
    Look("node-results", "/p/{leaving}?node=/train&tab=results", "#panel-results"),
    Look("program-partitions", "/program?title=Nightly+import", ".ProgramPage-columns"),
    Look("program-tests", "/program?title=Tests+of+the+shop", ".ProgramPage-columns"),
    Look("group-history", "/p/{again5}?node=/&tab=history", "#panel-history"),
    Look("secrets-add", "/secrets", ".Dialog-dialog", press=("button:text('Add secret')",)),
    Look("secrets-delete", "/secrets", ".Dialog-dialog", press=("button:text('Delete') >> nth=0",)),
    Look("agent-stop", "/agent", ".Dialog-dialog", press=("button:text-is('Stop')",)),
    Look("agent-free", "/agent", ".Dialog-dialog .list", press=("button:text('Clean up')",)),
    Look(
        "keys",
        "/p/{shop}",
        ".Dialog-dialog",
        press=("button[aria-label=More]", ":text('Keyboard shortcuts')"),
    ),
    Look(
        "modify",
        "/p/{shop}?node=/test/payment",
        ".Dialog-dialog .ModifyDialog-fields",
        press=("button[aria-label='Node actions']", "[role=menuitem]:has-text('Modify')"),
    ),
)


@dataclass
class World:
    """An agent with typical content after some weeks.

    Attributes:
        pipelines: Their ids, by the names that the looks use.
    """

    person: Person
    pipelines: dict[str, str] = field(default_factory=dict)

    def launch(self, name: str, tree: co.Node, *, run: bool = True, **fields: Any) -> str:
        """Launch a pipeline; returns its id."""
        fields = {"title": name, "owner": "ada", **fields}
        request = LaunchRequest.model_validate(
            {"tree": to_launch_form(tree, title=fields["title"]), "run": run, "engine": "process"}
            | fields
        )
        body = json.loads(request.model_dump_json())
        response = agent_api(self.person, "/pipelines", "POST", body)
        self.pipelines[name] = found = str(response["pipeline"]["id"])
        return found

    def settled(self, name: str) -> None:
        """Wait until a pipeline is idle."""
        path = f"/pipelines/{self.pipelines[name]}"
        eventually(lambda: bool(agent_api(self.person, path)["settled"]), seconds=120)

    def order(self, name: str, action: str) -> None:
        """Request an action on a whole pipeline."""
        path = f"/pipelines/{self.pipelines[name]}/control"
        agent_api(self.person, path, "POST", {"action": action})

    def data_of(self, name: str) -> Path:
        """Return the directory of a pipeline's data."""
        kept = self.person.base / self.person.profile / "pipelines" / self.pipelines[name]
        directory: Path = kept / "data"
        directory.mkdir(parents=True, exist_ok=True)
        return directory


def fill(world: World) -> None:
    """Launch what the looks show."""
    world.launch("large", _large(), title="Weekly sweep", tags=("sweep",))
    for number in range(40):
        world.launch(f"quick{number}", co.Exec("true"), title=f"Unit tests {number}", tags=("ci",))
    world.launch("archived", release(), title="Shop release 0.9", run=False)
    world.order("archived", "archive")
    for number in range(_AGAIN):
        name = f"again{number}"
        world.launch(name, _again(number), title="Integration tests", tags=("ci",))
        world.settled(name)  # the strip of runs shows them in this order, each as it ended
    world.launch("long", _long(), title=LONG, tags=("a-tag-that-is-rather-long", "second", "third"))
    world.launch("waiting", release(), title="Nightly", tags=("shop",), run=False)
    world.launch("asleep", release(), title="Nightly of last week", tags=("shop",), run=False)
    world.order("asleep", "sleep")
    world.launch("shop", release(), title="Shop release", tags=("shop", "weekly"))
    world.launch("running", _running(), title="Import of the day", tags=("data",))
    world.launch("stages", _stages(), title="Tests by stage", tags=("ci",))
    for name in ("shop", "large", "long", "stages"):
        world.settled(name)
    data = world.data_of("shop")
    (data / "scores.csv").write_text("name,score\n" + "".join(f"p{n},{n * 7}\n" for n in range(40)))
    (data / "report.md").write_text("# Report\n\nAll **well**.\n")
    (data / "reports").mkdir()
    (data / "reports" / "accuracy.md").write_text(f"All **well**.\n\n{_TABLE * 9}\n{LONG}\n")
    (data / "reports" / "+test+payment.md").write_text("One test failed.\n")
    (data / "models").mkdir()
    (data / f"{LONG}.bin").write_bytes(b"\0" * 123_456)
    _fill_pages(world)
    # Leftovers of a deleted pipeline.
    orphan = world.data_of("shop").parents[1] / "gon-epi" / "data"
    orphan.mkdir(parents=True)
    (orphan / "large.bin").write_bytes(b"\0" * 3_000_000)
    secrets = [
        ("DEPLOY_TOKEN", "sesame-open-1234", True),
        ("PIN", "12", True),
        ("REGION", "eu-central-1", False),
        ("A_NAME_THAT_IS_LONGER_THAN_ANYBODY_WOULD_LIKE_TO_READ_IN_A_TABLE", "sesame-5678", True),
    ]
    written = [{"key": key, "value": value, "mask": mask} for key, value, mask in secrets]
    for one in written:
        agent_api(world.person, "/secrets", "POST", {"secrets": [{"scope": "user", **one}]})


def _fill_pages(world: World) -> None:
    """Store what the pages of programs, tests, schedules, rules and the user's data show."""
    person = world.person
    (person.base / "report.py").write_text(_SCRIPT)
    words = ["report.py", "--local", "--engine", "process", "--run", "--detach"]
    done = person._start(words)
    assert done.returncode == 0, done.stdout + done.stderr
    world.pipelines["scripted"] = str(done.stdout.split()[1])
    world.launch("tested", _tested(), title="Tests of the shop")
    world.launch("asking", _asking(), title="Release 2.1", tags=("shop",))
    world.launch("leaving", _leaving(), title="Training")
    tree = to_launch_form(co.Exec("true"), title="Nightly import")
    daily = with_partition(tree, "2026-11-05", start="2026-11-01")
    fields = {"tree": daily, "title": "Nightly import", "run": True, "engine": "process"}
    agent_api(person, "/pipelines", "POST", fields)
    for name in ("scripted", "tested", "leaving"):
        world.settled(name)
    cron = ["schedule", "add", "nightly", "--cron", "30 2 * * 1-5"]
    person.ask(*cron, "--pipeline", world.pipelines["scripted"])
    agent_api(person, "/schedules/nightly/fire", "POST")
    rule = {"channel": "slack", "to": "#builds", "on": ["failure", "fixed"]}
    agent_api(person, "/notification-rules/builds", "PUT", rule)
    own = person.base / person.profile / "data"
    (own / "models").mkdir(parents=True, exist_ok=True)
    (own / "countries.csv").write_text("code,name\nno,Norway\n")


def _asking() -> co.Node:
    """Return a question, and a command that waits for the decision."""
    with co.Serial() as root:
        co.Approve("Release 2.1 to all customers?", who=["admin", "ada"], name="ask")
        co.Exec("true", name="publish")
    return root


def _leaving() -> co.Node:
    with co.Serial() as root:
        co.Exec(_LEAVE, name="train")
    return root


def _tested() -> co.Node:
    """Return a command that leaves a file with three tests, of which one failed."""
    cases = "".join(
        f'<testcase classname="shop" name="{name}" time="0.4">{text}</testcase>'
        for name, text in (("cart", ""), ("refund", _FAILURE), (LONG, ""))
    )
    junit = f'<testsuite name="shop" tests="3" failures="1">{cases}</testsuite>'
    return co.Exec(f"echo '{junit}' >junit.xml; exit 1", junit="junit.xml")


_FAILURE = '<failure message="12 is not 12.5">assert refund(12.5) == 12.5</failure>'
#: Leaves a result, metrics and an artifact.
_LEAVE = """
cd "$CONDUCTO_RUN_DIR"
echo '{"rate": 0.4, "days": [1, 2, 3]}' >result
for n in 1 2 4 8; do echo '{"name": "loss", "value": '$((64 / n))', "step": '$n'}'; done >metrics
echo '{"name": "table.csv", "size": 2000}' >artifacts
"""
_SCRIPT = """
import conducto as co

def report(days: int = 7, region: str = "north", fast: bool = False) -> co.Exec:
    return co.Exec(f"echo {days} {region} {fast}")

co.main(default=report)
"""


def _large() -> co.Node:
    """Return 100,000 Execs; the first groups run, and some of them fail."""
    root = co.Serial(cpu=0.05, mem=0.05, doc="Every *parameter* of the model, once.")
    with root:
        for group in range(100):
            with co.Parallel(name=f"group{group:03}"):
                for number in range(1000):
                    fails = group == 0 and number in (17, 401)
                    co.Exec("exit 3" if fails else "true", name=f"node{number:04}")
    return root


def _stages() -> co.Node:
    """Return 300 Execs in groups that run side by side, each of them for another while."""
    root = co.Parallel(cpu=0.05, mem=0.05)
    with root:
        for stage, name in enumerate(("build", "lint", "unit", "integration", "browsers")):
            with co.Parallel(name=name, max_concurrent=4 * (stage + 1)):
                for number in range(60):
                    ends = "exit 3" if number % 25 == 24 and stage > 1 else "true"
                    co.Exec(f"sleep 0.{number * 7 % 10}; {ends}", name=f"part{number:02}")
    return root


def _running() -> co.Node:
    root = co.Serial(cpu=0.05, mem=0.05)
    with root:
        co.Exec("echo fetched", name="fetch")
        with co.Parallel(name="convert"):
            co.Exec("echo begun; sleep 1800", name="tables")
            co.Exec("true", name="pictures")
        co.Exec("true", name="load")
    return root


#: Runs of one pipeline.
_AGAIN = 12


def _again(number: int) -> co.Node:
    ends = f"exit {int(number % 5 == 3)}" if number != 7 else "sleep 9"
    return co.Exec(f"sleep 0.{(number * 7) % 10}; {ends}", max_time=1.5)


def _long() -> co.Node:
    root = co.Serial(stop_on_error=False, doc=f"A doc with `{LONG}` in it.")
    with root:
        below = root
        for depth in range(12):
            below[f"level-{depth}-{LONG[:40]}"] = co.Serial()
            below = below[f"level-{depth}-{LONG[:40]}"]
        below[LONG] = co.Exec(f"echo {LONG}; echo {LONG} >&2; exit 9", doc="Ends with an error.")
    return root


def bring_about(viewer: Viewer, look: Look, world: World) -> Page:
    """Open a page and bring it into the state of a look."""
    page = viewer.page
    sockets: list[WebSocketRoute] = []
    if look.response == "gone":
        page.route_web_socket("**/events*", lambda socket: sockets.append(_through(socket)))
    elif look.response == "nobody":
        page.context.clear_cookies()
    elif look.response != "real":
        _respond(page, look.response)
    viewer.open(look.path.format(**world.pipelines))
    if look.response == "gone":
        page.wait_for_selector(PAGES[look.name.removesuffix("-lost")][1])
        page.wait_for_timeout(SETTLED_MS)  # a page that loads moves by itself
        _respond(page, "none")
        for socket in sockets:
            socket.close()
    for selector in look.press:
        page.locator(selector).first.click()
    page.wait_for_selector(look.ready)
    return page


def _through(socket: WebSocketRoute) -> WebSocketRoute:
    socket.connect_to_server()
    return socket


def _respond(page: Page, response: Answer) -> None:
    """Answer every call of the page so."""
    page.unroute(API)
    page.route_web_socket("**/events*", lambda socket: socket.close())

    def handle(route: Route) -> None:
        if response == "none":
            route.abort("connectionrefused")
        elif response == "failure":
            route.fulfill(status=500, json=FAILURE)
        # "never": it is left unanswered.

    page.route(API, handle)
