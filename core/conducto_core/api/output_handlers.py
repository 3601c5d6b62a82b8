"""Handlers of the operations on results, metrics and artifacts."""

import json

from conducto_core.api.handlers import Call
from conducto_core.model.outputs import ArtifactList, MetricList, OutputParams, ResultValue
from conducto_core.ports.pipelines import Pipelines
from conducto_core.runtime.attempt_outputs import artifacts_in, metrics_in


async def get_result(pipelines: Pipelines, call: Call[OutputParams, None]) -> ResultValue:
    """Return the result of an attempt: the return value of its function."""
    attempt, data = await pipelines.attempt_output(call.params, "result")
    if not data:
        return ResultValue(attempt=attempt)
    return ResultValue(attempt=attempt, exists=True, value=json.loads(data), size=len(data))


async def list_metrics(pipelines: Pipelines, call: Call[OutputParams, None]) -> MetricList:
    """Return the points of all metrics of an attempt."""
    attempt, data = await pipelines.attempt_output(call.params, "metrics")
    return MetricList(attempt=attempt, metrics=metrics_in(data))


async def list_artifacts(pipelines: Pipelines, call: Call[OutputParams, None]) -> ArtifactList:
    """List the artifacts of an attempt, in the order in which they were declared."""
    attempt, data = await pipelines.attempt_output(call.params, "artifacts")
    return ArtifactList(attempt=attempt, artifacts=artifacts_in(data))
