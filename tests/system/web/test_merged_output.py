"""The output of all commands of a group in one sequence: live, searched, of 2,000 commands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually, viewer_of
from system.web.scripts import launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from support.browser import Viewer

pytestmark = pytest.mark.web

PICTURES = os.environ.get("LOOKS")


def talking(gate: Path) -> str:
    """Return the body of a group whose last command waits for a file."""
    wait = f"while [ ! -e '{gate}' ]; do sleep 0.05; done"
    return f"""
    with co.Serial() as root:
        with co.Parallel(name="payments"):
            co.Exec("echo INFO rates at http://stub:9000/rates; for i in 1 2 3; do "
                    "echo GET /health 200; done; echo WARN slow query", name="stub")
            co.Exec("echo tests; echo \\"KeyError: 'fee_bp'\\" >&2; exit 1", name="test_refund")
            co.Exec("seq 40; {wait}; echo released", name="test_payout")
            co.Exec("echo ::group::Install; seq 100 200; echo ::endgroup::; echo made", name="seed")
"""


def many(commands: int) -> str:
    return f"""
    with co.Serial() as root:
        with co.Parallel(name="shards"):
            for number in range({commands}):
                co.Exec(f"echo shard {{number}} begins; echo ERROR shard {{number}} >&2" if number
                        == 7 else f"echo shard {{number}} begins", name=f"n{{number}}")
"""


def settled(viewer: Viewer, run: str, seconds: float) -> None:
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"], seconds)


def lines(page: Page) -> list[str]:
    return page.get_by_role("log").locator(".LogLines-text").all_inner_texts()


def picture(page: Page, name: str) -> None:
    if PICTURES is not None:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{PICTURES}/{name}.png", animations="disabled")


def test_merged_output_follows_filters_and_links(viewer: Viewer, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = launch(viewer.person, talking(gate))
    page = viewer.open(f"/p/{run}?node=%2Fpayments&tab=output")
    log = page.get_by_role("log")
    expect(log.get_by_role("link", name="http://stub:9000/rates")).to_have_attribute(
        "href", "http://stub:9000/rates"
    )
    expect(log).to_contain_text("\N{MULTIPLICATION SIGN} 3")
    expect(log.locator(".LogLines-failed")).to_contain_text("KeyError: 'fee_bp'")
    assert viewer.axe() == []

    page.keyboard.press("]")
    expect(page.get_by_role("group", name="Errors")).to_contain_text("1 of 1 error")
    expect(log.locator(".LogLines-current")).to_contain_text("KeyError")
    gate.touch()
    expect(page.get_by_role("button", name=re.compile(r"^Follow: \d+ new"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Follow")).click()
    expect(log).to_contain_text("released")

    settled(viewer, run, 30)
    page.get_by_role("button", name="Errors", exact=True).click()
    expect(page.locator(".MergedTab-truth")).to_contain_text("4 of 4 searched")
    assert lines(page) == ["KeyError: 'fee_bp'"]
    page.get_by_role("button", name="All levels").click()
    page.get_by_label("Search the output of all commands").fill("rates|slow")
    page.get_by_role("button", name="Regular expression").click()
    expect(log.locator("mark")).to_have_text(["rates", "slow"])
    expect(page.get_by_role("treeitem", name="stub")).to_contain_text("2 matches")
    page.get_by_label("Search the output of all commands").fill("(")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("is not a regular expression")
    viewer.said.clear()  # the browser notes the refused request


def test_tree_filters_the_output_and_groups_fold(viewer: Viewer, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    run = launch(viewer.person, talking(gate))
    page = viewer.open(f"/p/{run}?node=%2Fpayments&tab=output")
    log = page.get_by_role("log")
    install = log.get_by_role("button", name="Install 101 lines")
    expect(install).to_have_attribute("aria-expanded", "false")
    assert "110" not in lines(page)
    install.click()
    expect(log).to_contain_text("110")

    box = page.get_by_role("treeitem", name="test_payout")
    expect(box).to_have_attribute("aria-checked", "true")
    expect(box).to_contain_text("40 lines")
    expect(page.get_by_role("treeitem", name="test_refund")).to_contain_text("1 error")
    box.locator("[data-check]").click()
    expect(box).to_have_attribute("aria-checked", "false")
    expect(box).to_contain_text("hidden")
    expect(page.get_by_role("treeitem", name="payments")).to_have_attribute("aria-checked", "mixed")
    expect(log).to_contain_text("made")
    expect(log).not_to_contain_text("test_payout")
    assert viewer.axe() == []

    page.get_by_role("button", name="Show all", exact=True).click()
    page.get_by_role("tree").focus()
    page.keyboard.press("Space")  # the group itself
    expect(log).to_have_count(0)
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")  # a row of the filter: the group stays open
    page.keyboard.press("Space")
    expect(page.get_by_role("treeitem", name="payments")).to_have_attribute("aria-checked", "mixed")
    page.keyboard.press("Space")
    page.get_by_text("Only failed").click()
    expect(log).to_contain_text("KeyError")
    assert {*lines(page)} == {"tests", "KeyError: 'fee_bp'"}

    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Filter", exact=True).click()
    sheet = page.get_by_role("dialog")
    sheet.get_by_text("All", exact=True).click()
    sheet.get_by_role("treeitem", name="seed").locator("[data-check]").click()
    sheet.get_by_role("button", name="Close").click()
    expect(log).to_contain_text("KeyError")
    expect(log).not_to_contain_text("made")
    gate.touch()


def test_output_of_2000_commands_is_read_and_searched(viewer: Viewer) -> None:
    run = launch(viewer.person, many(2000))
    settled(viewer, run, 240)
    page = viewer.open(f"/p/{run}?node=%2Fshards&tab=output")
    log = page.get_by_role("log")
    expect(log).to_contain_text("begins")
    expect(page.locator(".MergedTab-truth")).to_contain_text("only the newest 1,000")
    assert len(lines(page)) < 150  # only those in view

    log.evaluate("one => one.scrollTo(0, 0)")
    foot = page.get_by_text(re.compile(r"^2,000 commands, (1,0\d\d|[5-9]\d\d)\+? lines"))
    expect(foot).to_be_visible()
    log.evaluate("one => one.scrollTo(0, 0)")
    expect(page.get_by_text(re.compile(r"^2,000 commands, 1,00\d lines"))).to_be_visible()
    page.get_by_label("Search the output of all commands").fill("shard 7 ")
    page.keyboard.press("Enter")
    expect(page.locator(".MergedTab-truth")).to_contain_text("2,000 of 2,000 searched")


#: A service that prints before and while two commands run, and is told from another of the name.
BESIDE = """
    with co.Serial(image="busybox", cpu=0.2, mem=0.1) as root:
        with co.Parallel(name="payments"):
            for name in ("refund", "payout"):
                stub = co.Service("busybox", command=["sh", "-c", "echo stub begins for "
                    f"{name}; echo WARN stub is slow; sleep 600"], cpu=0.1, mem=0.1)
                co.Exec(f"echo {name} begins; sleep 1; echo ERROR {name} >&2; exit 1", name=name,
                    services={"stub": stub})
"""


@pytest.mark.docker
def test_services_print_in_the_same_sequence_and_a_strip_shows_when(viewer: Viewer) -> None:
    run = launch(viewer.person, BESIDE, engine="docker")
    settled(viewer, run, 120)
    page = viewer.open(f"/p/{run}?node=%2Fpayments&tab=output")
    log = page.get_by_role("log")
    expect(log).to_contain_text("stub begins for payout")
    service = log.get_by_role("link", name="stub payout")
    expect(service).to_have_attribute("title", "Service stub of /payments/payout")
    page.keyboard.press("]")
    expect(page.get_by_role("group", name="Errors")).to_contain_text("1 of 2 errors")
    strip = page.get_by_role("img", name=re.compile(r"lines over \d"))
    assert strip.locator("path").first.get_attribute("fill") == "var(--error-fill)"
    strip.click(position={"x": 5, "y": 10})
    expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible()
    picture(page, "services")
    assert viewer.axe() == []

    page.get_by_role("button", name="Output options").click()
    page.get_by_role("menuitemcheckbox", name="Only services").click()
    expect(log).not_to_contain_text("payout begins")
    assert {text.split(" for ")[0] for text in lines(page)} == {"stub begins", "WARN stub is slow"}
    page.get_by_role("button", name="Output options").click()
    page.get_by_role("menuitemcheckbox", name="Services beside commands").click()
    expect(log).to_contain_text("payout begins")
    expect(log).not_to_contain_text("stub")
    page = viewer.open(f"/p/{run}?node=%2Fpayments&tab=output&stream=services")
    page.get_by_role("log").get_by_role("link", name="stub refund").click()
    expect(page.get_by_role("tab", name="Services")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel")).to_contain_text("stub | stub begins for refund")


@pytest.mark.skipif(PICTURES is None, reason="only for pictures")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures(viewer: Viewer, browser: Browser, tmp_path: Path, theme: str) -> None:
    gate = tmp_path / "gate"
    run = launch(viewer.person, talking(gate))
    size = {"width": 1440, "height": 900}
    with viewer_of(viewer.person, browser, color_scheme=theme, viewport=size) as one:
        page = one.open(f"/p/{run}?node=%2Fpayments&tab=output")
        expect(page.get_by_role("log")).to_contain_text("40")
        page.keyboard.press("]")
        for state, query in {"all": "", "found": "&find=2", "none": "&find=nowhere"}.items():
            page.set_viewport_size(size)
            if query:
                page = one.open(f"/p/{run}?node=%2Fpayments&tab=output{query}")
                expect(page.locator(".MergedTab-truth")).to_contain_text("searched")
            for width, height in ((1440, 900), (390, 844)):
                page.set_viewport_size({"width": width, "height": height})
                picture(page, f"output-{state}.{theme}.{width}")
    gate.touch()
