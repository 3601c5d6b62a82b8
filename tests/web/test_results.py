"""The result, metrics and artifacts of a node in its pane."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from support.browser import agent_api, eventually
from web.scripts import launch

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


def test_node_pane_shows_the_result_metrics_and_artifacts(viewer: Viewer) -> None:
    run = launch(viewer.person, LEAVING)
    eventually(lambda: agent_api(viewer.person, f"/pipelines/{run}")["settled"], seconds=60)

    page = viewer.node(run, "/train")
    page.get_by_role("tab", name="Results").click()

    expect(page.get_by_label("result", exact=True)).to_contain_text('"rate": 0.4')
    expect(page.get_by_text("8, from 8 to 64, 8 points")).to_be_visible()
    expect(page.get_by_text("0.5, 1 point")).to_be_visible()
    expect(page.locator(".artifact figcaption a").first).to_have_text("Loss by step")
    expect(page.get_by_role("img", name="loss.svg")).to_be_visible()
    expect(page.get_by_role("link", name="table.csv", exact=True)).to_be_visible()
    assert viewer.axe() == []

    viewer.node(run, "/none")
    expect(page.get_by_role("tab", name="Attempts")).to_be_visible()
    expect(page.get_by_role("tab", name="Results")).to_have_count(0)
