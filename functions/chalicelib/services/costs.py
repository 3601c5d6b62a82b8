"""The cost of a pipeline."""

from chalicelib.services.dependencies import Dependencies
from chalicelib.services.storage_metering import StorageMetering
from conducto_core.api.queries.usage_reports import cost_of
from conducto_core.errors import NotFoundError
from conducto_core.model.usage import PipelineCost


def cost(cloud: Dependencies, org: str, pipeline_id: str, nodes: int) -> PipelineCost:
    """Return the cost of a pipeline, with its most expensive nodes; raises `NotFoundError`."""
    record = cloud.store.record(org, pipeline_id)
    if record is None:
        raise NotFoundError(f"there is no pipeline {pipeline_id}")
    storage = StorageMetering(cloud)
    stored, uncharged = storage.current(org, record)
    attempts, spent = cloud.store.attempts(pipeline_id), storage.spent(org, record)
    found = cost_of(record, attempts, nodes, spent=spent, stored=stored)
    return found.model_copy(update={"storage_dollars": found.storage_dollars + uncharged})
