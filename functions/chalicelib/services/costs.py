"""The cost of a pipeline, and the prices of an organisation."""

from chalicelib.ports.billing import rates_of
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.storage_metering import StorageMetering
from conducto_core.api.queries.usage_reports import cost_of, with_prices
from conducto_core.errors import NotFoundError
from conducto_core.model.usage import PipelineCost
from conducto_core.semantics.plans import Rates


def customer_rates(cloud: Dependencies, org: str) -> Rates | None:
    """Return an organisation's prices of workers; None: nothing is billed."""
    if cloud.billing is None or not cloud.orgs.in_use(org).paying:
        return None
    return rates_of(cloud.billing.records.account(org))


def cost(cloud: Dependencies, org: str, pipeline_id: str, nodes: int) -> PipelineCost:
    """Return the cost of a pipeline, with its most expensive nodes; raises `NotFoundError`."""
    record = cloud.store.record(org, pipeline_id)
    if record is None:
        raise NotFoundError(f"there is no pipeline {pipeline_id}")
    storage = StorageMetering(cloud)
    stored, uncharged = storage.current(org, record)
    attempts, spent = cloud.store.attempts(pipeline_id), storage.spent(org, record)
    found = cost_of(record, attempts, nodes, spent=spent, stored=stored)
    found = found.model_copy(update={"storage_dollars": found.storage_dollars + uncharged})
    return with_prices(found, customer_rates(cloud, org))
