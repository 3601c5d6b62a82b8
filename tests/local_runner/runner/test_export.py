"""An export of the largest trees is small, and made quickly, with few questions to the port."""

import time
from pathlib import Path
from typing import Any

import pytest

import conducto as co
from conducto.tree.launch_form import to_launch_form
from conducto_core.export.collect import MAX_NODES, collect
from conducto_core.export.page import MAX_BYTES, page_of
from conducto_core.run.model.params import PipelineParams, TreeParams
from conducto_core.run.model.requests import LaunchRequest, TreePage
from support.local import local_runner

GROUPS, SIZE = 1_000, 100


class Asked:
    """The port, with a count of the pages that it was asked for."""

    def __init__(self, pipelines: Any) -> None:
        self.pages = 0
        self._pipelines = pipelines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipelines, name)

    async def get_tree(self, params: TreeParams) -> TreePage:
        self.pages += 1
        page: TreePage = await self._pipelines.get_tree(params)
        return page


def large_form() -> dict[str, Any]:
    with co.Parallel(image="debian") as root:
        for number in range(GROUPS):
            with co.Parallel(name=f"group-{number}"):
                for each in range(SIZE):
                    co.Exec(f"echo {each}", name=f"exec-{each}")
    return to_launch_form(root)


@pytest.mark.timeout(120)
async def test_a_hundred_thousand_nodes_make_a_small_page_quickly(tmp_path: Path) -> None:
    async with local_runner(tmp_path / "home", "process") as local:
        request = LaunchRequest(tree=large_form(), engine="process", title="large")
        made = await local.pipelines.launch(request)
        port = Asked(local.pipelines)

        started = time.perf_counter()
        run = await collect(port, PipelineParams(id=made.pipeline.id), time.time())
        page = page_of(run)
        took = time.perf_counter() - started

    assert (len(run.nodes), run.whole) == (MAX_NODES, False)
    assert f"{GROUPS * SIZE:,} pending" in page.decode()
    assert len(page) < MAX_BYTES / 4
    assert port.pages <= 10  # one of these is for failed nodes
    assert took < 5  # a Lambda has 29 seconds; here it takes a tenth of one
