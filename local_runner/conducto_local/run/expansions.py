"""Maps that the agent expands in the place of the command of their Lazy: without a container."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from conducto_core.command.masking import Mask
from conducto_core.command.output import PrintedTreeError
from conducto_core.maps.rules import ExpansionError, expand_map
from conducto_core.programs.rules.fingerprints import fingerprint
from conducto_core.results.rules import MissingResultError
from conducto_core.run.model.states import Cause
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.checks import Limits
from conducto_local.engine.port import EngineError
from conducto_local.run.admission import read_tree
from conducto_local.run.command import Result, results_of
from conducto_local.run.context import SchedulerContext
from conducto_local.run.live_pipeline import ActiveAttempt, LivePipeline
from conducto_local.run.networks import Networks

logger = logging.getLogger(__name__)


class Expansions:
    """The expansions of maps.

    Args:
        common: The pipelines.
        networks: Handle a lost engine.
        mask: Returns the mask of the values of secrets.
        finish: Ends an attempt, and puts its tree in place.
    """

    def __init__(
        self,
        common: SchedulerContext,
        networks: Networks,
        mask: Callable[[], Mask],
        finish: Callable[[ActiveAttempt, Result], None],
    ) -> None:
        self._common = common
        self._networks = networks
        self._mask = mask
        self._finish = finish

    async def run(self, active: ActiveAttempt) -> None:
        """Expand a map, unless its attempt was withdrawn meanwhile.

        Everything that this stores is stored with the end of the attempt: after a crash before
        that, the attempt is still queued.
        """
        live = active.live
        try:
            active.results = await results_of(active, self._common.logs(live.id))
            engine_context = self._common.engine_context(live)
            await engine_context.open()
            # A copy, because the event loop changes the tree while the thread reads it.
            tree = Pipeline(dict(live.pipeline.nodes), dict(live.pipeline.images))
            limits = engine_context.limits()
            result, output = await asyncio.to_thread(_expanded, active, tree, limits)
        except MissingResultError as error:
            result, output = Result.failed(Cause.INPUT, str(error)), b""
        except EngineError as error:
            self._networks.lost(live, error)
            result = Result.failed(Cause.WORKER_LOST, str(error), started=False)
            output = b""
        except Exception as error:
            # A bug in the runner must end this attempt, not the agent, and must be visible.
            logger.exception("a map was not expanded", extra={"path": active.spec.path})
            message = f"the runner failed (details in agent.log): {error!r}"
            result, output = Result.failed(Cause.WORKER_LOST, message), b""
        if not self._is_wanted(live, active):
            return
        if result.facts.message is not None:
            result = result.with_message(self._mask().text(result.facts.message))
        active.fingerprint = fingerprint(active.spec, "", None, "", results=active.results)
        self._write(active, output)
        self._finish(active, result)

    def _is_wanted(self, live: LivePipeline, active: ActiveAttempt) -> bool:
        is_live = self._common.live.get(live.id) is live
        return is_live and not (active.gone or self._common.closing)

    def _write(self, active: ActiveAttempt, output: bytes) -> None:
        """Write the output of an attempt, unless an agent did that just before a crash."""
        path, number, logs = active.spec.path, active.number, self._common.logs(active.live.id)
        if output and not logs.reader(path, number).size("stdout"):
            writer = logs.writer(path, number)
            writer.write("stdout", output)
            writer.close()


def _expanded(active: ActiveAttempt, tree: Pipeline, limits: Limits) -> tuple[Result, bytes]:
    try:
        made = expand_map(active.spec, active.results)
        target = active.spec.lazy_target or ""
        generated = read_tree(made.document, active, target, tree, limits)
    except (ExpansionError, PrintedTreeError) as error:
        return Result.failed(Cause.LAZY, str(error)), b""
    done = Result(None, tree=generated)
    facts = done.facts._replace(exit_code=0, output_bytes=len(made.output))
    return replace(done, facts=facts), made.output
