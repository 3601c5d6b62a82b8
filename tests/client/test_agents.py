"""Requests to linked agents through the client of a cloud."""

from __future__ import annotations

import pytest

from conducto_client import agents
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import Counts, PipelineAgent, PipelineSummary
from conducto_core.run.model.responses import PipelineList
from conducto_core.run.model.states import State

AGENT = PipelineAgent(id="laptop", host="ann.local", online=True, seen=1.0)


def _summary(id_: str, agent: PipelineAgent | None = None) -> PipelineSummary:
    record = PipelineRecord(id=id_, title=id_)
    return PipelineSummary(
        pipeline=record, state=State.DONE, counts=Counts(), settled=True, seq=1, agent=agent
    )


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (
            "/api/v1/pipelines/abc/tree",
            {"root": "/"},
            ("/api/v1/pipelines/abc/tree", {"root": "/"}),
        ),
        (
            "/api/v1/pipelines/a%2Flaptop%2Fabc/tree",
            {"root": "/"},
            ("/api/v1/pipelines/abc/tree", {"root": "/", "agent": "laptop"}),
        ),
        ("/api/v1/pipelines/a%2Flaptop%2Fabc", {}, ("/api/v1/pipelines/abc", {"agent": "laptop"})),
        ("/api/v1/pipelines/a%2Flaptop", {}, ("/api/v1/pipelines/a%2Flaptop", {})),
        ("/api/v1/pipelines", {}, ("/api/v1/pipelines", {})),
    ],
)
def test_reference_in_a_path_becomes_the_parameter_of_the_agent(
    path: str, query: dict[str, str], expected: tuple[str, dict[str, str]]
) -> None:
    assert agents.routed(path, query) == expected


def test_ids_in_responses_of_agents_are_references() -> None:
    listed = PipelineList(pipelines=(_summary("abc", AGENT), _summary("xyz")), next="abc")

    found = agents.referenced(listed, None)
    assert [one.pipeline.id for one in found.pipelines] == ["a/laptop/abc", "xyz"]
    assert found.next == "abc"
    assert agents.referenced(_summary("abc"), "laptop").pipeline.id == "a/laptop/abc"
    assert agents.referenced(_summary("abc"), None).pipeline.id == "abc"
    assert agents.split("a/laptop/abc") == ("laptop", "abc")
    assert [agents.split(one)[0] for one in ("abc", "a/", "a/laptop/", "b/laptop/abc")] == [
        None
    ] * 4
