"""Commits the inputs of concurrent requests to a journal in common entries.

Without competition, a request writes an entry with its own input. Under competition, one request
has the *turn*: it writes entries with the inputs of all requests, while the others leave their
inputs in the table and read the journal until it has them.

Safety depends on two rules only. An entry is written once, by a request that has read all entries
before it; and an input in the journal is not folded again (`chalicelib.domain.folding`). The turn
only keeps requests from competing: its holder may die, and any request may take it at any time. An
input leaves the inbox in the transaction that writes its entry.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from secrets import token_hex

from chalicelib.domain.events import Submitted, may_wait
from chalicelib.domain.folding import FoldError, fresh
from chalicelib.domain.pipeline import CloudPipeline
from chalicelib.domain.pipeline_changes import PipelineChanges
from chalicelib.ports.errors import ConflictError, ThrottledError
from chalicelib.ports.journal import Turn, TurnState, Waiting
from chalicelib.services.dependencies import Dependencies
from chalicelib.services.effects import Effects, effects_of
from chalicelib.services.pipeline_cache import PipelineCache
from chalicelib.services.slots import Decide

logger = logging.getLogger(__name__)

#: Maximum number of attempts to commit a decision against concurrent writers.
MAX_TRIES = 12
#: Maximum number of entries in a turn: the client of its request waits meanwhile.
TURN_ENTRIES = 8
#: Maximum number of waiting inputs in an entry: a transaction has a hundred items.
BATCH = 40
#: First and longest pause in seconds between reads of the journal, and how the pause grows.
FIRST_PAUSE = 0.012
LONGEST_PAUSE = 0.15
GROWTH = 1.5
#: Seconds without an entry after which the holder of the turn counts as dead.
PATIENCE = 0.5
#: Seconds after which a request stops to wait for its entry.
LONGEST_WAIT = 5.0


class BusyError(Exception):
    """Too many concurrent changes of one pipeline. Retry later."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of an entry.

    Attributes:
        writer: Id of the request that writes it.
        own: The input of that request, unless it waits as well.
        waiting: Waiting inputs, some of which may be in the journal already.
        failing: Ids of waiting inputs that cannot be applied.
        turn: Version of the writer's turn; None: it writes without the turn.
    """

    writer: str
    own: Submitted | None
    waiting: Sequence[Submitted] = ()
    failing: frozenset[str] = frozenset()
    turn: int | None = None


#: Writes the next entry and returns its effects.
Write = Callable[[CloudPipeline, Batch], Effects]


@dataclass(slots=True)
class _Request:
    """A request, and its progress.

    Attributes:
        id: Id of its input; a refused input is followed by one with another id.
        waits: Whether its input was left in the table.
        done: Whether the input took effect; False: there is none; None: not yet.
        lost: Whether another request was faster, so that it must not compete again.
        reads: Whether it must read the journal before it writes another entry.
        served: Number of waiting inputs in the entries that it has written.
        failing: Ids of waiting inputs that cannot be applied.
        effects: Effects of its input and of the entries that it has written.
    """

    org: str
    pipeline_id: str
    decide: Decide
    id: str = ""
    waits: bool = False
    done: bool | None = None
    lost: bool = False
    reads: bool = True
    served: int = 0
    failing: set[str] = field(default_factory=set)
    effects: list[Effects] = field(default_factory=list)


class GroupCommit:
    """Commits inputs.

    Args:
        cloud: The ports.
        cache: The pipelines of this process.
        write: Writes an entry.
        execute: Executes the effects of an input or an entry.
    """

    def __init__(
        self,
        cloud: Dependencies,
        cache: PipelineCache,
        write: Write,
        execute: Callable[[Effects], None],
    ) -> None:
        self._cloud = cloud
        self._cache = cache
        self._write = write
        self._execute = execute

    def submit(self, org: str, pipeline_id: str, decide: Decide) -> bool:
        """Commit an input and execute its effects; return whether there was one.

        Raises:
            NotFoundError: The organisation has no pipeline with that id.
            BusyError: Too many concurrent changes.
        """
        request = _Request(org, pipeline_id, decide)
        try:
            for attempt in range(MAX_TRIES):
                if request.waits or not request.id:
                    request.id, request.waits = self._new_id(), False
                self._try(request, attempt)
                if request.done is not None:
                    return request.done
        finally:
            for effects in request.effects:
                self._execute(effects)
        raise BusyError(_busy(request))

    def _try(self, request: _Request, attempt: int) -> None:
        self._cache.expect(request.id)
        try:
            self._serve(request)
        except ThrottledError:
            self._cloud.sleep(self._cloud.jitter() * 0.02 * 2 ** min(attempt, 6))
        finally:
            self._cache.give_up(request.id)

    def _new_id(self) -> str:
        """Return an id; inputs wait in the order of their ids."""
        return f"{int(self._cloud.clock() * 1000):014d}-{token_hex(6)}"

    def _serve(self, request: _Request) -> None:
        """Decide, and commit the decision; ``done`` stays None if it must be repeated."""
        with self._cache.lock_of(request.pipeline_id):
            live, turn = self._cache.current(request.org, request.pipeline_id)
            own = self._own(request, live)
            if own is None:
                return
            if turn.state is TurnState.QUIET and not request.lost:
                request.lost = True  # unless this write succeeds
                self._commit(request, live, Batch(request.id, own))
                return
        waits = may_wait(own.input)
        if waits and turn.state is TurnState.TAKEN:
            self._wait(request, own)
        elif (mine := self._take(request, turn)) is not None:
            self._use(request, mine)
        elif waits:
            self._wait(request, own)

    def _own(self, request: _Request, live: CloudPipeline) -> Submitted | None:
        """Return the input of the request, unless it waits, is written, or does not exist."""
        self._look(request)  # the response to a write may have been lost
        if request.done is not None or request.waits:
            return None
        happened = request.decide(live)
        if happened is None:
            request.done = False
            return None
        return Submitted(id=request.id, input=happened, seen=live.number)

    def _commit(self, request: _Request, live: CloudPipeline, batch: Batch) -> None:
        """Write an entry, unless another request is faster."""
        self._cache.discard(live.id)  # the state is invalid until the commit succeeds
        request.reads = True
        try:
            request.effects.append(self._write(live, batch))
        except ConflictError:
            return
        except FoldError as error:
            logger.exception("an input was refused", extra={"pipeline": live.id})
            request.failing.add(error.id)
            return
        self._cache.keep(live)
        request.reads = False
        request.served += len(batch.waiting)
        if self._cache.arrived(request.id).changes is not None:
            request.done = True

    def _look(self, request: _Request) -> None:
        """Note what the journal has of the request, and the effects that are left to it."""
        found = self._cache.arrived(request.id)
        if found.changes is not None:
            request.done = True
        elif not found.hires and not found.usage:
            return
        live = self._cache.known(request.org, request.pipeline_id)
        changes = found.changes or PipelineChanges()
        effects = effects_of(live, changes, found.hires)
        # The writer of an entry meters its usage and informs followers.
        effects.usage, effects.published = found.usage, False
        request.effects.append(effects)

    # ---- waiting ------------------------------------------------------------------------------

    def _wait(self, request: _Request, own: Submitted) -> None:
        """Leave an input in the table, and read the journal until it has the input."""
        self._cloud.store.put_waiting(request.pipeline_id, Waiting(own.id, own.written()))
        request.waits = True
        waited = idle = 0.0
        pause = FIRST_PAUSE
        before = (own.seen, -1)
        while waited < LONGEST_WAIT:
            gap = pause * (0.5 + self._cloud.jitter())
            pause = min(pause * GROWTH, LONGEST_PAUSE)
            self._cloud.sleep(gap)
            with self._cache.lock_of(request.pipeline_id):
                live, turn = self._cache.current(request.org, request.pipeline_id)
                if request.id in live.taken:
                    self._look(request)
                    return
                now = (live.number, turn.version)
            waited += gap
            idle = idle + gap if now == before else 0.0
            before = now
            if turn.state is not TurnState.TAKEN or idle >= PATIENCE:
                mine = self._take(request, turn)
                if mine is not None:
                    self._use(request, mine)
                if request.done is not None:
                    return
        raise BusyError(_busy(request))

    # ---- the turn -----------------------------------------------------------------------------

    def _take(self, request: _Request, turn: Turn) -> Turn | None:
        try:
            return self._cloud.store.pass_turn(request.pipeline_id, turn, TurnState.TAKEN)
        except ConflictError:
            return None

    def _use(self, request: _Request, turn: Turn) -> None:
        """Write entries for all requests, and end the turn."""
        request.reads = False  # it has read the journal just before it took the turn
        try:
            for _ in range(TURN_ENTRIES):
                waiting = self._waiting(request.pipeline_id)
                with self._cache.lock_of(request.pipeline_id):
                    if not self._write_next(request, turn, waiting):
                        break
        finally:
            state = TurnState.OPEN if request.served else TurnState.QUIET
            with suppress(ConflictError, ThrottledError):
                self._cloud.store.pass_turn(request.pipeline_id, turn, state)

    def _waiting(self, pipeline_id: str) -> list[Submitted]:
        found = self._cloud.store.waiting(pipeline_id, BATCH)
        return [Submitted.model_validate(each.submitted) for each in found]

    def _write_next(self, request: _Request, turn: Turn, waiting: Sequence[Submitted]) -> bool:
        """Write an entry; return False if there is nothing to write, or the turn is over."""
        if request.reads:
            live, now = self._cache.current(request.org, request.pipeline_id)
            if now.version != turn.version:
                self._look(request)
                return False
        else:
            live = self._cache.known(request.org, request.pipeline_id)
        own = self._own(request, live)
        if own is None and not fresh(live, waiting):
            self._cloud.store.drop_waiting(request.pipeline_id, [each.id for each in waiting])
            return False
        failing = frozenset(request.failing)
        self._commit(request, live, Batch(request.id, own, waiting, failing, turn.version))
        return True


def _busy(request: _Request) -> str:
    return f"{request.pipeline_id}: too many concurrent changes; retry"
