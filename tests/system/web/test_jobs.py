"""Fifteen things that people come for: each needs at most its clicks and keys.

``LOOKS=directory`` leaves the table there, with the seconds from the first click to the result;
``JOBS_PIPELINES=5000`` launches that many pipelines.
"""

from __future__ import annotations

import os
import re
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

import conducto as co
from support.browser import agent_api, launched_person, viewer_of
from support.stand_ins import ensure
from system.web.looks import World
from system.web.scripts import launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator, Page

    from support.browser import Viewer
    from support.running import Person

pytestmark = [pytest.mark.web, pytest.mark.long, pytest.mark.timeout(900)]

PIPELINES = int(os.environ.get("JOBS_PIPELINES", "500"))
SCRIPT = '''
import conducto as co

def nightly(shards: int = 2000, fee: str = "fee_bp") -> co.Parallel:
    """Tests of the shop."""
    root = co.Parallel(cpu=0.05, mem=0.05, env={"FEE": fee})
    for number in range(shards):
        if number == 123:
            test = """test $FEE = fee_bp || { echo "KeyError: '$FEE'" >&2; exit 1; }"""
        else:
            test = "true"
        root[f"shard{number:04}"] = co.Exec(test)
    return root

def wait() -> co.Parallel:
    root = co.Parallel(max_concurrent=1, cpu=0.05, mem=0.05)
    for name in ("first", "second"):
        root[name] = co.Exec("echo begun; sleep 1800")
    return root

co.main(default=nightly)
'''
TRAIN = textwrap.dedent("""
    data="${CONDUCTO_DATA_PIPELINE:-/conducto/data/pipeline}"
    mkdir -p "$data/plots"
    echo '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">' >"$data/plots/loss.svg"
    echo '<rect width="9" height="9"/></svg>' >>"$data/plots/loss.svg"
    echo epoch $(date +%N)
    cd "$CONDUCTO_RUN_DIR"
    echo '{"name": "plots/loss.svg", "title": "Loss by step", "size": 150}' >artifacts
""")
TRAINING = f"""
    with co.Serial() as root:
        co.Exec({TRAIN!r}, name="train")
        co.Exec("sleep 0.3", name="report")
"""
IN_CONTAINER = """
    with co.Serial(image="python:3.11-slim") as root:
        co.Exec("echo from the node; exit 3", name="bad")
"""

MENDED = """
    with co.Serial() as root:
        co.Exec("echo no; exit 3", name="bad")
"""
WIDE = """
    with co.Parallel(cpu=0.05, mem=0.05) as root:
        for number in range(300):
            mark = f"$CONDUCTO_DATA_PIPELINE/{number}"
            once = f"; test -e {mark} || {{ touch {mark}; exit 1; }}" if number in (7, 8, 9) else ""
            co.Exec(f"echo shard {number}{once}", name=f"n{number}")
"""


@dataclass
class Hand:
    """Counts what a person does on a page, and the time until the result is in view."""

    page: Page
    world: World
    url: str
    clicks: int = 0
    keys: int = 0
    _began: float = field(default=0.0)

    def open(self, path: str, ready: str) -> None:
        """Open the page on which the job begins; it does not count."""
        self.page.goto(self.url + path.format(**self.world.pipelines))
        self.page.wait_for_selector(ready)
        self.page.wait_for_load_state("networkidle")

    def click(self, target: Locator) -> None:
        self._begin()
        self.clicks += 1
        target.click()

    def button(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=name, exact=True))

    def entry(self, name: str) -> None:
        self.click(self.page.get_by_role("menuitem", name=name))

    def tab(self, name: str) -> None:
        self.click(self.page.get_by_role("tab", name=re.compile(f"^{name}")))

    def pipeline(self, name: str) -> None:
        """Open a pipeline from the list."""
        link = f".PipelineRow-title[href$='/p/{self.world.pipelines[name]}']"
        self.click(self.page.locator(link).first)

    def press(self, key: str) -> None:
        self._begin()
        self.keys += 1
        self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self._begin()
        self.keys += len(text)
        self.page.keyboard.type(text)

    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def _begin(self) -> None:
        self._began = self._began or time.perf_counter()


LIST = ("/", ".PipelineRow-title")


def what_runs(hand: Hand) -> None:
    hand.open(*LIST)
    hand.click(hand.page.get_by_role("link", name="Activity"))
    expect(hand.page.get_by_role("region", name="Running")).to_contain_text("/first")
    expect(hand.page.get_by_role("region", name="Waiting")).to_contain_text("max_concurrent=1")


def why_it_failed(hand: Hand) -> None:
    hand.open(*LIST)
    hand.pipeline("broken")
    expect(hand.page.locator(".Reasons-lines")).to_contain_text("KeyError: 'fee_pct'")


def edit_and_rerun(hand: Hand) -> None:
    hand.open("/p/{mended}?node=/bad", ".LogLines-lines")
    hand.button("Node actions")
    hand.entry("Modify")
    expect(hand.page.get_by_role("textbox", name="Command")).to_be_focused()
    hand.press("Control+a")
    hand.type("echo mended")
    hand.press("Control+Enter")
    expect(hand.page.locator(".NodeHeader-state")).to_contain_text("done")


def debug_shell(hand: Hand) -> None:
    hand.open("/p/{contained}?node=/bad", ".LogLines-lines")
    hand.button("Debug")
    hand.entry("Open shell")
    expect(hand.page.locator(".xterm-rows")).to_contain_text(re.compile(r"[#$]"))


def what_is_slow(hand: Hand) -> None:
    hand.open(*LIST)
    hand.pipeline("good")
    expect(hand.page.get_by_role("heading", name="Slowest nodes")).to_be_in_viewport()


def compare_attempts(hand: Hand) -> None:
    hand.open("/p/{train}?node=/train", ".LogLines-lines")
    hand.tab("History")
    differences = hand.page.get_by_role("region", name="Differences", exact=True)
    expect(differences).to_contain_text("epoch")


def rerun_failed(hand: Hand) -> None:
    hand.open("/p/{wide}", ".Reasons-lines")
    hand.button("Rerun failed")
    hand.click(hand.page.get_by_role("dialog").get_by_role("button", name="Rerun"))
    expect(hand.page.locator(".PipelineHead-head")).to_contain_text("300 done")


def see_a_plot(hand: Hand) -> None:
    hand.open("/p/{train}?node=/train", ".LogLines-lines")
    hand.tab("Results")
    expect(hand.page.get_by_role("img", name="loss.svg")).to_be_visible()


def download_a_file(hand: Hand) -> None:
    hand.open("/p/{train}", "[data-row]")
    hand.click(hand.page.get_by_role("navigation").get_by_role("link", name="Data").last)
    hand.click(hand.page.get_by_role("button", name="plots/"))
    hand.click(hand.page.get_by_role("button", name="loss.svg", exact=True))
    with hand.page.expect_download():
        hand.click(hand.page.get_by_role("link", name="Download").first)


def launch_with_parameters(hand: Hand) -> None:
    hand.open("/p/{good}", "[data-row]")
    hand.button("Launch again")
    hand.click(hand.page.get_by_label("shards"))
    hand.press("Control+a")
    hand.type("3")
    hand.press("Control+Enter")
    expect(hand.page.locator(".PipelineHead-head")).to_contain_text("3 done")


def what_changed(hand: Hand) -> None:
    hand.open(*LIST)
    hand.pipeline("broken")
    expect(hand.page.get_by_role("region", name="What changed")).to_contain_text("fee_pct")


def one_stream(hand: Hand) -> None:
    hand.open("/p/{wide}", "[data-row]")
    hand.tab("Output")
    expect(hand.page.get_by_role("log")).to_contain_text(re.compile(r"shard \d+"))


def how_a_node_behaves(hand: Hand) -> None:
    hand.open("/p/{broken}?node=/shard0123", ".LogLines-lines")
    hand.tab("History")
    earlier = hand.page.get_by_role("region", name="Earlier pipelines")
    expect(earlier).to_contain_text("Usually")


def find_a_pipeline(hand: Hand) -> None:
    hand.open(*LIST)
    hand.press("/")
    hand.type("import 17 ")
    title = hand.page.locator(".PipelineRow-title").first
    expect(title).to_contain_text("Import 17 of Cork")


def share(hand: Hand) -> None:
    hand.open("/p/{broken}", "[data-row]")
    hand.button("Share")
    hand.click(hand.page.get_by_role("button", name="Copy link"))
    address = hand.page.evaluate("navigator.clipboard.readText()")
    assert hand.world.pipelines["broken"] in address


#: The job, its page, and the most clicks and keys that it may need.
JOBS: tuple[tuple[Callable[[Hand], None], int, int], ...] = (
    (what_runs, 1, 0),
    (why_it_failed, 1, 0),
    (edit_and_rerun, 2, 13),
    (debug_shell, 2, 0),
    (what_is_slow, 1, 0),
    (compare_attempts, 1, 0),
    (rerun_failed, 2, 0),
    (see_a_plot, 1, 0),
    (download_a_file, 4, 0),
    (launch_with_parameters, 2, 3),
    (what_changed, 1, 0),
    (one_stream, 1, 0),
    (how_a_node_behaves, 1, 0),
    (find_a_pipeline, 0, 11),
    (share, 2, 0),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    ensure(["python:3.11-slim"])
    with launched_person(tmp_path_factory.mktemp("jobs")) as person:
        world = World(person)
        (person.base / "nightly.py").write_text(SCRIPT)
        _launch_many(world)
        world.pipelines["contained"] = launch(person, IN_CONTAINER, engine="docker")
        for name, *words in (
            ("before", "200"),
            ("good", "200"),
            ("broken", "2000", "--fee=fee_pct"),
        ):
            world.pipelines[name] = _script(person, "nightly", "--shards", *words)
            world.settled(name)
        world.pipelines["train"] = launch(person, TRAINING)
        world.settled("train")
        again = f"/pipelines/{world.pipelines['train']}/control"  # a second attempt
        agent_api(person, again, "POST", {"action": "reset", "paths": ["/"]})
        world.pipelines["mended"] = launch(person, MENDED)
        world.pipelines["wide"] = launch(person, WIDE)
        for name in ("train", "mended", "wide", "contained"):
            world.settled(name)
        world.pipelines["waits"] = _script(person, "wait")
        yield world
        world.order("waits", "sleep")


def _script(person: Person, *words: str) -> str:
    rest = ["--local", "--engine", "process", "--run", "--detach"]
    done = person._start(["nightly.py", *words, *rest])
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout.split()[1])


def _launch_many(world: World) -> None:
    cities = ("Oslo", "Lima", "Cork", "Bern", "Riga")

    def one(number: int) -> None:
        title = f"Import {number} of {cities[number % len(cities)]}"
        world.launch(f"import{number}", co.Exec("true"), title=title, run=False)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(PIPELINES)))


@pytest.fixture
def viewer(world: World, browser: Browser) -> Iterator[Viewer]:
    allowed = ["clipboard-read", "clipboard-write"]
    size = {"width": 1440, "height": 900}
    with viewer_of(world.person, browser, permissions=allowed, viewport=size) as one:
        yield one


@pytest.mark.parametrize(
    ("job", "clicks", "keys"), [pytest.param(*one, id=one[0].__name__) for one in JOBS]
)
def test_job_needs_at_most_its_clicks_and_keys(
    job: Callable[[Hand], None], clicks: int, keys: int, world: World, viewer: Viewer
) -> None:
    hand = Hand(viewer.page, world, viewer.url)
    job(hand)
    seconds = hand.seconds()
    if directory := os.environ.get("LOOKS"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        with (Path(directory) / "jobs.md").open("a") as table:
            table.write(f"| {job.__name__} | {hand.clicks} | {hand.keys} | {seconds:.2f} |\n")
    assert hand.clicks <= clicks
    assert hand.keys <= keys
