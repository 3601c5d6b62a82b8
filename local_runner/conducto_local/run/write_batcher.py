"""Batches the writes of each iteration of the event loop into one transaction."""

import asyncio
import logging
from collections.abc import Callable, Iterator

from conducto_core.run.model.records import AttemptRecord
from conducto_core.run.model.requests import Action
from conducto_local.run.context import SchedulerContext
from conducto_local.run.live_pipeline import LivePipeline
from conducto_local.store.port import Store, StoreFullError, WriteBatch

logger = logging.getLogger(__name__)

#: Seconds between two attempts to write while the store is full.
STORE_PAUSE = 2.0


class WriteBatcher:
    """Starts attempts and stores changes, once per iteration of the event loop."""

    def __init__(self, common: SchedulerContext, store: Store, start: Callable[[], bool]) -> None:
        self._common = common
        self._store = store
        self._start = start
        self._is_due = False
        self._unsaved: dict[str, list[WriteBatch]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._hurried: list[asyncio.Future[None]] = []
        self._full: str | None = None  # the error while the store is full
        self._retry: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def saved(self, *, wait: bool = True) -> None:
        """Return when everything so far is written to the store.

        Args:
            wait: Also wait while the store is full.

        Raises:
            StoreFullError: The store is full; only without ``wait``.
        """
        # One for each: a shared one would need a shield, which costs a turn of the loop.
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting if wait else self._hurried).append(waiter)
        self.wake()
        await waiter

    def unsaved_attempts(self) -> Iterator[AttemptRecord]:
        """Yield the attempts that could not be written yet."""
        for batches in self._unsaved.values():
            for batch in batches:
                yield from batch.attempts

    def is_unsaved(self, pipeline_id: str) -> bool:
        """Return whether a pipeline has changes that could not be written yet."""
        return pipeline_id in self._unsaved

    def drop(self, live: LivePipeline) -> None:
        """Forget the changes of a pipeline that is deleted."""
        live.take_changes()
        self._unsaved.pop(live.id, None)

    def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()

    def _turn(self) -> None:
        self._is_due = False
        if self._start():
            # The started attempts create their records first, which are then written in the same
            # transaction as the event that made room for them.
            asyncio.get_running_loop().call_soon(self.flush)
        else:
            self.flush()

    def flush(self) -> None:
        """Write the changes; keep them for later if the store is full."""
        for live in self._common.live.values():
            turn = live.take_changes()
            if turn is not None:
                self._unsaved.setdefault(live.id, []).append(turn)
        try:
            while self._unsaved:
                now = {pipeline: turns[0] for pipeline, turns in self._unsaved.items()}
                self._store.save_all(now)
                self._unsaved = {p: t[1:] for p, t in self._unsaved.items() if len(t) > 1}
        except StoreFullError as error:
            self._store_is_full(error)
            return
        except Exception:
            # A bug in the runner. Retrying would keep every pipeline from being written.
            logger.exception(
                "a batch could not be written", extra={"pipelines": list(self._unsaved)}
            )
            self._save_apart()
        self._store_has_room()
        waiting, self._waiting, self._hurried = [*self._waiting, *self._hurried], [], []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _save_apart(self) -> None:
        """Write the changes of each pipeline separately; pause pipelines for which that fails."""
        unsaved, self._unsaved = self._unsaved, {}
        for pipeline, turns in unsaved.items():
            try:
                while turns:
                    self._store.save(pipeline, turns[0])
                    del turns[0]
            except StoreFullError:
                self._unsaved[pipeline] = turns
            except Exception as error:
                logger.exception("pipeline could not be written", extra={"pipeline": pipeline})
                live = self._common.live.get(pipeline)
                if live is not None and live.record.armed:
                    why = f"it cannot be stored (details in agent.log): {error!r}"
                    self._common.perform(live, Action.PAUSE, why)

    def _store_is_full(self, error: StoreFullError) -> None:
        """Keep changes until the store has room; nothing starts that is not stored first."""
        if self._full is None:
            self._full = str(error)
            logger.error("the store is full", extra={"why": self._full})
        for live in self._common.live.values():
            if live.record.problem is None:
                live.set_record(problem=self._full)
        hurried, self._hurried = self._hurried, []
        for waiter in hurried:
            if not waiter.done():
                waiter.set_exception(StoreFullError(str(error)))
        if self._retry is None and not self._common.closing:
            self._retry = asyncio.get_running_loop().call_later(STORE_PAUSE, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.wake()

    def _store_has_room(self) -> None:
        if self._full is None:
            return
        for live in self._common.live.values():
            if live.record.problem == self._full:
                live.set_record(problem=None)
        self._full = None
        self.wake()
