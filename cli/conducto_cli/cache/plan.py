"""The decisions of the cache in ``--plan``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.target.connection import LocalAgent
from conducto_cli.text.text import count_of, printable, table
from conducto_client import Client, ClientError, HttpTransport
from conducto_core.cache.model import CachePlan, ForecastFate
from conducto_core.cache.rules import caches_items
from conducto_core.run.model.labels import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase
    from conducto_core.cache.model import CacheForecast
    from conducto_core.tree.model import Pipeline

_FATES = {
    ForecastFate.CACHED: "from cache",
    ForecastFate.RUNS: "runs",
    ForecastFate.DEPENDS: "depends",
    ForecastFate.SKIPPED: "skipped",
}


@dataclass(frozen=True)
class PlannedCache:
    """The decisions of one target.

    Attributes:
        target: ``local`` or ``cloud``.
        problem: Why there are none, or None.
    """

    target: str
    plan: CachePlan
    problem: str | None = None

    def document(self) -> dict[str, object]:
        """Return the part ``cache`` of the document of ``--json``."""
        return {
            "target": self.target,
            "problem": self.problem,
            **self.plan.model_dump(mode="json"),
        }

    def lines(self) -> Iterator[str]:
        """Yield the part of the printed plan."""
        place = "the cloud" if self.target == "cloud" else "this machine"
        if self.problem is not None:
            yield f"cache of {place}: {printable(self.problem)}"
            return
        nodes = self.plan.nodes
        numbers = Counter(each.fate for each in nodes)
        saved = duration(sum(each.seconds for each in nodes))
        yield (
            f"cache of {place}: {numbers[ForecastFate.CACHED]:,} of "
            f"{count_of(len(nodes) - numbers[ForecastFate.SKIPPED], 'command')} from it, which "
            f"took {saved}"
        )
        for line in table([_cells(each) for each in nodes]):
            yield f"  {line.rstrip()}"
        if not self.plan.complete:
            yield "  the rest was not decided in time"


def _cells(node: CacheForecast) -> tuple[str, ...]:
    fate, path = _FATES[node.fate], printable(node.path)
    if node.source is not None:
        return fate, path, f"{printable(node.source.text)}, saves {duration(node.seconds)}"
    why = f"on {node.reason}" if node.fate is ForecastFate.DEPENDS else node.reason
    return fate, path, printable(why)


def planned_cache(
    root: NodeBase, pipeline: Pipeline, options: LaunchOptions, target: str
) -> PlannedCache | None:
    """Return the decisions about a tree; None if no command of it may have a cache.

    A local agent is asked only if it runs.
    """
    at = pipeline.nodes.__getitem__
    if not any(each.cache is not None or caches_items(each, at) for each in pipeline.execs()):
        return None
    try:
        if target == "cloud":
            from conducto_cli.launch import cloud_request  # noqa: PLC0415 - not for --help

            ready = cloud_request.prepared(root, options)
            with ready.account.client() as client:
                return PlannedCache(target, client.plan_cache(ready.request))
        from conducto_cli.launch.local import prepared  # noqa: PLC0415 - not for --help

        endpoint = LocalAgent(options.profile).find()
        if endpoint is None:
            why = "no agent runs; start it with 'conducto agent start'"
            return PlannedCache(target, CachePlan(), why)
        with Client(HttpTransport(endpoint)) as client:
            return PlannedCache(target, client.plan_cache(prepared(root, options)))
    except (ClientError, UsageError) as error:
        return PlannedCache(target, CachePlan(), str(error))
