"""The Python client on this machine: ``co.launch`` and the handles, with a real agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import conducto as co
from support.running import person_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.running import Person

TIMEOUT = 60.0


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """A user with an agent, which this process uses as well."""
    with person_at(tmp_path_factory.mktemp("client")) as someone, pytest.MonkeyPatch.context() as m:
        m.setenv("CONDUCTO_BASE_DIR", str(someone.base))
        m.setenv("CONDUCTO_PROFILE", someone.profile)
        yield someone


pytestmark = pytest.mark.usefixtures("person")


def grid(depths: list[int]) -> co.Parallel:
    """Train at several depths."""
    root = co.Parallel()
    for depth in depths:
        root[f"d{depth}"] = co.Exec(f"echo depth {depth}; echo err >&2; test {depth} != 5")
    return root


def launch(*arguments: Any, **options: Any) -> co.Pipeline:
    return co.launch(*arguments, target="local", engine="process", **options)


def test_pipeline_is_launched_waited_for_and_repaired() -> None:
    pipeline = launch(grid, depths=[3, 5], title="grid")

    assert pipeline.wait(timeout=TIMEOUT) == "error"
    assert (pipeline.state, pipeline.counts.done, pipeline.counts.error) == ("error", 1, 1)
    assert pipeline.url.endswith(f"/p/{pipeline.id}")
    (failed,) = pipeline.nodes("/**", state="error")
    assert (failed.path, failed.exit_code) == ("/d5", 1)
    assert failed.logs(tail=20) == "depth 5\nerr\n"
    with pytest.raises(co.PipelineFailed, match="1 of 2 Execs failed") as caught:
        pipeline.wait(check=True)
    assert f"conducto rerun {pipeline.id} --failed" in caught.value.report

    pipeline["/d5"].modify(command="true")
    assert pipeline.rerun(failed=True).paths == ("/d5",)

    assert pipeline.wait(TIMEOUT, check=True) == "done"
    assert [attempt.number for attempt in pipeline["/d5"].attempts()] == [1, 2]
