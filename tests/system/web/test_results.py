"""The result, metrics and artifacts of a node in its pane."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually
from system.web.scripts import launch

if TYPE_CHECKING:
    from support.browser import Viewer

pytestmark = pytest.mark.web

WRITE = textwrap.dedent("""
    data="${CONDUCTO_DATA_PIPELINE:-/conducto/data/pipeline}"
    mkdir -p "$data/plots"
    echo '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">' >"$data/plots/loss.svg"
    echo '<rect width="9" height="9"/></svg>' >>"$data/plots/loss.svg"
    cd "$CONDUCTO_RUN_DIR"
    echo '{"rate": 0.4, "days": [1, 2, 3]}' >result
    for n in 1 2 3 4 5 6 7 8; do
        echo '{"name": "loss", "value": '$((64 / n))', "step": '$n'}' >>metrics
    done
    echo '{"name": "val/loss", "value": 0.5}' >>metrics
    echo '{"name": "plots/loss.svg", "title": "Loss by step", "size": 150}' >artifacts
    echo '{"name": "table.csv", "size": 2000}' >>artifacts
""")
LEAVING = f"""
    with co.Serial() as root:
        co.Exec({WRITE!r}, name="train")
        co.Exec("true", name="none")
"""


TRAIN = textwrap.dedent("""
    cd "$CONDUCTO_RUN_DIR"
    for n in 1 2 3; do
        echo '{"name": "loss", "value": '$((BASE / n))'}' >>metrics
    done
    [ -z "$WAIT" ] || sleep 300
""")
TRAINING = f"""
    with co.Serial(env={{"BASE": "BASE-VALUE", "WAIT": "WAIT-VALUE"}}) as root:
        co.Exec({TRAIN!r}, name="train")
"""


def test_metrics_of_a_running_command_are_compared_with_those_of_earlier_pipelines(
    viewer: Viewer,
) -> None:
    def start(base: int, wait: str = "") -> str:
        text = TRAINING.replace("BASE-VALUE", str(base)).replace("WAIT-VALUE", wait)
        return launch(viewer.person, text)

    earlier = start(60)
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{earlier}")["settled"], seconds=60)
    running = start(48, wait="yes")

    page = viewer.node(running, "/train")
    page.get_by_role("tab", name="Results").click()

    expect(page.get_by_text("16, from 16 to 48, 3 points")).to_be_visible()
    expect(page.get_by_text("16, before 20 (-20%)")).to_be_visible()
    dots = page.get_by_role("list", name="Last values of loss").get_by_role("link")
    expect(dots).to_have_count(2)
    assert viewer.axe() == []
    dots.first.click()
    expect(page).to_have_url(re.compile(f"/p/{earlier}"))


def test_node_pane_shows_the_result_metrics_and_artifacts(viewer: Viewer) -> None:
    run = launch(viewer.person, LEAVING)
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"], seconds=60)

    page = viewer.node(run, "/train")
    page.get_by_role("tab", name="Results").click()

    expect(page.get_by_label("result", exact=True)).to_contain_text('"rate": 0.4')
    expect(page.get_by_text("8, from 8 to 64, 8 points")).to_be_visible()
    expect(page.get_by_text("0.5, 1 point")).to_be_visible()
    expect(page.locator(".ResultsTab-artifact figcaption a").first).to_have_text("Loss by step")
    expect(page.get_by_role("img", name="loss.svg")).to_be_visible()
    expect(page.get_by_role("link", name="table.csv", exact=True)).to_be_visible()
    assert viewer.axe() == []

    viewer.node(run, "/none")
    expect(page.get_by_role("tab", name="History")).to_be_visible()
    expect(page.get_by_role("tab", name="Results")).to_have_count(0)
