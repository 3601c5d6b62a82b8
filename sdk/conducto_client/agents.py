"""References to pipelines of linked agents: ``a/AGENT/ID`` in place of an id."""

from collections.abc import Mapping
from typing import TypeVar, cast
from urllib.parse import quote, unquote

from conducto_client.transport.port import Body, Reply, Transport
from conducto_core.remote.operations import AGENT_PARAMETER
from conducto_core.results.model import MetricComparison
from conducto_core.run.model.requests import EventBatch, PipelineSummary
from conducto_core.run.model.responses import ApprovalList, PipelineList

R = TypeVar("R")

PREFIX = "a/"
_ROOT = "/pipelines/"


def split(reference: str) -> tuple[str | None, str]:
    """Return the agent and the id of a reference; the agent is None for a pipeline of the cloud."""
    agent, found, pipeline_id = reference.removeprefix(PREFIX).partition("/")
    if not reference.startswith(PREFIX) or not (agent and found and pipeline_id):
        return None, reference
    return agent, pipeline_id


def reference_to(agent: str, pipeline_id: str) -> str:
    """Return the reference to a pipeline of an agent."""
    return f"{PREFIX}{agent}/{pipeline_id}"


class AgentTransport:
    """A `conducto_client.Transport` whose requests are all for one agent.

    Args:
        transport: The transport to the cloud.
        agent: Id of the agent.
    """

    def __init__(self, transport: Transport, agent: str) -> None:
        self._transport = transport
        self._agent = agent
        self.stream = transport.stream
        self.close = transport.close

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Body | None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return the response."""
        values = {**query, AGENT_PARAMETER: self._agent}
        return self._transport.request(method, path, values, body, headers)


def routed(path: str, query: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the path and the query of a request whose path may contain a reference."""
    root, found, rest = path.partition(_ROOT)
    reference, slash, tail = rest.partition("/")
    agent, pipeline_id = split(unquote(reference))
    if not found or agent is None:
        return path, dict(query)
    plain = f"{root}{_ROOT}{quote(pipeline_id, safe='')}{slash}{tail}"
    values = {**query, AGENT_PARAMETER: agent}
    other, other_id = split(values.get("other", ""))
    return plain, values if other != agent else {**values, "other": other_id}


def referenced(result: R, agent: str | None) -> R:
    """Return a response in which ids of pipelines of agents are references.

    Args:
        result: A response, or anything else, which is returned unchanged.
        agent: The agent that the request was for.
    """
    match result:
        case PipelineList():
            pipelines = tuple(referenced(each, None) for each in result.pipelines)
            return result.model_copy(update={"pipelines": pipelines})
        case ApprovalList():
            waiting = (
                (one, agent if one.agent is None else one.agent.id) for one in result.approvals
            )
            approvals = tuple(
                one
                if of is None
                else one.model_copy(update={"pipeline": reference_to(of, one.pipeline)})
                for one, of in waiting
            )
            return result.model_copy(update={"approvals": approvals})
        case EventBatch():
            pipeline = referenced(result.pipeline, agent)
            return result.model_copy(update={"pipeline": pipeline})
        case PipelineSummary():
            of = result.agent.id if result.agent is not None else agent
            return result if of is None else cast("R", _with_reference(result, of))
        case MetricComparison() if agent is not None:
            compared = tuple(
                each.model_copy(update={"id": reference_to(agent, each.id)})
                for each in result.pipelines
            )
            return result.model_copy(update={"pipelines": compared})
        case _:
            return result


def _with_reference(summary: PipelineSummary, agent: str) -> PipelineSummary:
    record = summary.pipeline
    update: dict[str, object] = {"id": reference_to(agent, record.id)}
    if record.copy_of is not None:
        update["copy_of"] = reference_to(agent, record.copy_of)
    if record.parent is not None:
        parent = reference_to(agent, record.parent.pipeline)
        update["parent"] = record.parent.model_copy(update={"pipeline": parent})
    return summary.model_copy(update={"pipeline": record.model_copy(update=update)})
