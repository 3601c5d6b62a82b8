"""Commits the inputs of concurrent requests to a journal in common entries.

Without competition, a request writes an entry with its own input. Under competition, one request
has the *turn*: it writes entries with the inputs of all requests, while the others leave their
inputs in the table and read the journal until it has them.

Safety depends on two rules only. An entry is written once, by a request that has read all entries
before it; and an input in the journal is not folded again (`chalicelib.run.rules.pipeline`). The
turn only keeps requests from competing: its holder may die, and any request may take it at any
time. Only holders of the turn write waiting inputs, so that a request that gives up deletes its
input and then changes the turn: no entry can have it afterwards.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from secrets import token_hex

from chalicelib.errors import ConflictError, ThrottledError, Timing
from chalicelib.records import Records
from chalicelib.run.effects import PendingEffects, effects_of
from chalicelib.run.model import Submitted, may_wait
from chalicelib.run.pipeline_cache import PipelineCache
from chalicelib.run.port import Turn, TurnState, Waiting
from chalicelib.run.rules.changes import PipelineChanges
from chalicelib.run.rules.pipeline import CloudPipeline, FoldError, fresh
from chalicelib.workers.slots import Decide
from conducto_core.errors import NotFoundError

# ----------------------------------------------------------------------------------------
# The pauses of a request that competes with others, and when it gives up.


#: First, second and longest pause in seconds between reads of the journal, and how the pause grows.
#: A read costs less than the time of a worker, whose report waits for it.
FIRST_PAUSE = 0.016
SECOND_PAUSE = 0.005
LONGEST_PAUSE = 0.15
GROWTH = 1.15
#: Longest pause in seconds after AWS throttled a call.
THROTTLED_PAUSE = 1.2
#: Seconds after which a request gives up; API Gateway ends a request after 29 seconds.
LONGEST_WAIT = 15.0


class Pace:
    """The pauses of one request.

    Attributes:
        idle: Seconds for which nothing has happened, at least.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._began = timing.clock()
        self._pause, self._next = FIRST_PAUSE, SECOND_PAUSE
        self._slept = 0.0
        self._seen: object = None
        self.idle = 0.0

    def is_over(self) -> bool:
        """Return whether the request must give up."""
        # A clock may be set back; the pauses are a lower limit.
        return max(self._slept, self._timing.clock() - self._began) >= LONGEST_WAIT

    def pause(self, *, throttled: bool = False) -> None:
        """Sleep, longer each time, and at other times than other requests."""
        longest = THROTTLED_PAUSE if throttled else LONGEST_PAUSE
        gap = min(self._pause, longest) * (0.5 + self._timing.jitter())
        self._pause = min(self._next, longest)
        self._next = self._pause * GROWTH
        self._timing.sleep(gap)
        self._slept += gap
        self.idle += gap

    def notice(self, seen: object) -> None:
        """Begin to count ``idle`` again if something else is seen than before."""
        if seen != self._seen:
            self._seen, self.idle = seen, 0.0


logger = logging.getLogger(__name__)

#: Maximum number of entries in a turn: the client of its request waits meanwhile.
TURN_ENTRIES = 8
#: Number of refusals after which a request writes its input itself.
MAX_REFUSED = 2
#: Maximum number of waiting inputs in an entry: a transaction has a hundred items.
BATCH = 60
#: Number of waiting inputs that are read at once. Those that an entry has are deleted after the
#: turn, so that no request waits for it, and later if they are of an entry before the last ones.
_LISTED, _LAST = 200, 50
#: Seconds without an entry after which the holder of the turn counts as dead.
PATIENCE = 0.5
#: Seconds for which requests count as competing after they were seen to.
CONTENDED_SECONDS = 2.0


class BusyError(Exception):
    """Too many concurrent changes of one pipeline. Retry later."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of an entry.

    Attributes:
        writer: Id of the request that writes it.
        own: The input of that request, unless it waits as well.
        waiting: Waiting inputs.
        failing: Ids of waiting inputs that cannot be applied.
        turn: Version of the writer's turn; None: it writes without the turn.
        opens: Whether it is the last entry of the turn.
    """

    writer: str
    own: Submitted | None
    waiting: Sequence[Submitted] = ()
    failing: frozenset[str] = frozenset()
    turn: int | None = None
    opens: bool = False


#: Writes the next entry and returns its effects.
Write = Callable[[CloudPipeline, Batch], PendingEffects]


@dataclass(slots=True)
class _Request:
    """A request, and its progress.

    Attributes:
        id: Id of its input; a refused input is followed by one with another id.
        pace: Its pauses.
        sent: Whether its input may be in the table.
        waits: Whether its input was left there.
        refused: Number of its inputs that were refused.
        done: Whether the input took effect; False: there is none; None: not yet.
        lost: Whether another request was faster, so that it must not compete again.
        reads: Whether it must read the journal before it writes another entry.
        passed: Whether its last entry has ended its turn.
        served: Ids of waiting inputs in the entries that it has written.
        failing: Ids of waiting inputs that cannot be applied or written.
        alone: Whether each of its entries has one input, to find the input that fails.
        effects: Effects of its input and of the entries that it has written.
    """

    org: str
    pipeline_id: str
    decide: Decide
    pace: Pace
    id: str = ""
    sent: bool = False
    waits: bool = False
    refused: int = 0
    done: bool | None = None
    lost: bool = False
    reads: bool = True
    passed: bool = False
    served: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    alone: bool = False
    effects: list[PendingEffects] = field(default_factory=list)


class GroupCommit:
    """Commits inputs.

    Args:
        cache: The pipelines of this process.
        write: Writes an entry.
        execute: Executes the effects of an input or an entry.
    """

    def __init__(
        self,
        records: Records,
        timing: Timing,
        cache: PipelineCache,
        write: Write,
        execute: Callable[[PendingEffects], None],
    ) -> None:
        self._records = records
        self._timing = timing
        self._cache = cache
        self._write = write
        self._execute = execute
        #: ``{pipeline id: when requests were last seen to compete}``, of the last seconds.
        self._contended: dict[str, float] = {}

    def submit(
        self, org: str, pipeline_id: str, decide: Decide, early: Decide | None = None
    ) -> bool:
        """Commit an input and execute its effects; return whether there was one.

        ``early`` decides on the state that this process knows, or returns None: if requests
        compete, its input is left in the table before the journal is read. Like each waiting input,
        it takes effect only if ``decide`` would decide the same then.

        Raises:
            NotFoundError: The organisation has no pipeline with that id.
            BusyError: Too many concurrent changes.
        """
        request = _Request(org, pipeline_id, decide, Pace(self._timing))
        self._rename(request)
        try:
            if early is not None:
                self._send_early(request, early)
            while request.done is None:
                self._try(request)
            return request.done
        finally:
            self._withdraw(request)
            self._cache.give_up(request.id)
            for effects in _published_once(request.effects):
                self._execute(effects)

    def _send_early(self, request: _Request, early: Decide) -> None:
        seen = self._contended.get(request.pipeline_id, -inf)
        if self._timing.clock() - seen > CONTENDED_SECONDS:
            return
        own = None
        with self._cache.lock_of(request.pipeline_id):
            live = self._cache.cached(request.org, request.pipeline_id)
            with suppress(Exception):  # it is decided again on the current state
                own = _decided(request, live, early)
        if own is not None and may_wait(own.input):
            with suppress(ThrottledError):
                self._send(request, own)

    def _send(self, request: _Request, own: Submitted) -> None:
        """Leave an input in the table."""
        request.sent = True  # even if the response is lost
        self._records.store.put_waiting(request.pipeline_id, Waiting(own.id, own.written()))
        request.waits = True

    def _record_contention(self, request: _Request, turn: Turn) -> None:
        now, known = self._timing.clock(), self._contended
        for pipeline_id in [each for each in known if now - known[each] > CONTENDED_SECONDS]:
            known.pop(pipeline_id, None)
        if turn.state is TurnState.QUIET:
            known.pop(request.pipeline_id, None)
        else:
            known[request.pipeline_id] = now

    def _rename(self, request: _Request) -> None:
        """Give the input of a request a new id; inputs wait in the order of their ids."""
        self._cache.give_up(request.id)
        request.id = f"{int(self._timing.clock() * 1000):014d}-{token_hex(6)}"
        self._cache.expect(request.id)

    def _try(self, request: _Request) -> None:
        """Try to commit; ``done`` stays None if the request must try again, after a pause."""
        throttled = False
        try:
            self._serve(request)
        except ThrottledError:
            throttled = True
        if request.done is not None:
            return
        if request.pace.is_over():
            self._give_up(request)
        else:
            request.pace.pause(throttled=throttled)

    def _give_up(self, request: _Request) -> None:
        """Raise `BusyError`, unless the journal has the input by now."""
        self._withdraw(request)
        if request.done is None:
            raise BusyError(f"{request.pipeline_id}: too many concurrent changes; retry")

    def _withdraw(self, request: _Request) -> None:
        """Delete a waiting input, and note its results if the journal has it.

        No later entry has it, because nobody would execute its effects: a request that has read it
        cannot write after the turn has changed.
        """
        if not request.sent or request.done is not None:
            return
        request.sent = request.waits = False
        store, pipeline_id = self._records.store, request.pipeline_id
        with suppress(ThrottledError, NotFoundError), self._cache.lock_of(pipeline_id):
            store.drop_waiting(pipeline_id, [request.id])
            _, turn = self._cache.current(request.org, pipeline_id)
            with suppress(ConflictError):  # then another request has changed it
                store.pass_turn(pipeline_id, turn, TurnState.OPEN)
            self._cache.current(request.org, pipeline_id)
            self._compare_with_journal(request)

    def _serve(self, request: _Request) -> None:
        """Decide, and commit the decision, or leave the input in the table."""
        with self._cache.lock_of(request.pipeline_id):
            live, turn = self._cache.current(request.org, request.pipeline_id)
            self._record_contention(request, turn)
            own = self._own(request, live)
            if request.done is not None:
                return
            if own is not None and turn.state is TurnState.QUIET and not request.lost:
                request.lost = True  # unless this write succeeds
                self._commit(request, live, Batch(request.id, own))
                return
        request.pace.notice((live.number, turn.version))
        urgent = own is not None and not _may_wait(request, own)
        if _may_take(request, turn, urgent=urgent):
            state = TurnState.URGENT if urgent else TurnState.TAKEN
            mine = self._collect_batch(request, turn, state)
            if mine is not None:
                # An entry with its waiting input may have been written since the journal was read:
                # it is not to be read as part of a snapshot.
                request.reads = request.sent and not 0 < turn.entry <= live.number
                self._use(request, mine)
                return
        if own is not None and not urgent:
            self._send(request, own)

    def _own(self, request: _Request, live: CloudPipeline) -> Submitted | None:
        """Return the input of the request, unless it waits, is written, or does not exist."""
        self._compare_with_journal(request)  # the response to a write may have been lost
        if request.done is None and request.id in live.taken:
            if request.sent:  # it was refused
                request.sent = request.waits = False
                request.refused += 1
                self._rename(request)
            else:
                request.done = True  # read as part of a snapshot
        if request.done is not None or request.waits:
            return None
        own = _decided(request, live, request.decide)
        if own is None:
            request.done = False
        return own

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
        except (ThrottledError, NotFoundError):
            raise
        except Exception:
            if not batch.waiting:
                raise
            logger.exception("an entry was not written", extra={"pipeline": live.id})
            if batch.own is None and len(batch.waiting) == 1:
                request.failing.add(batch.waiting[0].id)
            request.alone = True
            return
        self._cache.put(live)
        request.reads, request.passed = False, batch.opens
        request.served += [each.id for each in batch.waiting]
        if self._cache.arrived(request.id).changes is not None:
            request.done = True

    def _compare_with_journal(self, request: _Request) -> None:
        """Note what the journal has of the request, and the effects that are left to it."""
        found = self._cache.arrived(request.id)
        if found.changes is not None:
            request.done = True
        elif not found.hires and not found.usage:
            return
        live = self._cache.cached(request.org, request.pipeline_id)
        changes = found.changes or PipelineChanges()
        effects = effects_of(live, changes, found.hires)
        # The writer of an entry meters its usage and informs followers.
        effects.usage, effects.published = found.usage, False
        request.effects.append(effects)

    # ---- the turn -----------------------------------------------------------------------------

    def _collect_batch(self, request: _Request, turn: Turn, state: TurnState) -> Turn | None:
        try:
            return self._records.store.pass_turn(request.pipeline_id, turn, state)
        except ConflictError:
            return None

    def _use(self, request: _Request, turn: Turn) -> None:
        """Write entries for all requests, and end the turn."""
        try:
            for number in range(1, TURN_ENTRIES + 1):
                waiting = self._waiting(request.pipeline_id)
                last = number == TURN_ENTRIES
                with self._cache.lock_of(request.pipeline_id):
                    if not self._write_next(request, turn, waiting, last=last):
                        break
                others = turn.state is TurnState.URGENT and request.done is not None
                if others or request.pace.is_over():
                    break
        finally:
            if not request.passed:
                state = TurnState.OPEN if request.served else TurnState.QUIET
                with suppress(ConflictError, ThrottledError):
                    self._records.store.pass_turn(request.pipeline_id, turn, state)
            with suppress(ThrottledError):
                self._records.store.drop_waiting(request.pipeline_id, request.served)

    def _waiting(self, pipeline_id: str) -> list[Submitted]:
        found = self._records.store.waiting(pipeline_id, _LISTED)
        return [Submitted.model_validate(each.submitted) for each in found]

    def _write_next(
        self, request: _Request, turn: Turn, waiting: Sequence[Submitted], *, last: bool
    ) -> bool:
        """Write an entry; return False if there is nothing to write, or the turn is over.

        ``last``: whether the entry ends the turn.
        """
        if request.reads:
            live, now = self._cache.current(request.org, request.pipeline_id)
            if now.version != turn.version:
                self._compare_with_journal(request)
                return False
        else:
            live = self._cache.cached(request.org, request.pipeline_id)
        own = self._own(request, live)
        new = fresh(live, waiting)[:BATCH]
        numbers = {each.id: live.taken.get(each.id, live.number) for each in waiting}
        left = [name for name, number in numbers.items() if number < live.number - _LAST]
        self._records.store.drop_waiting(request.pipeline_id, left)
        if request.alone:
            new = new[:1] if own is None else []
        if own is None and not new:
            return False
        failing = frozenset(request.failing)
        self._commit(request, live, Batch(request.id, own, new, failing, turn.version, opens=last))
        return True


def _decided(request: _Request, live: CloudPipeline, decide: Decide) -> Submitted | None:
    happened = decide(live)
    if happened is None:
        return None
    return Submitted(id=request.id, input=happened, seen=live.number)


def _published_once(effects: Sequence[PendingEffects]) -> Sequence[PendingEffects]:
    """Return effects of which the last informs followers, of the changes of all entries."""
    if any(each.published for each in effects):
        for each in effects:
            each.published = each is effects[-1]
    return effects


def _may_wait(request: _Request, own: Submitted) -> bool:
    """Return whether to leave an input to others; not if they have refused it repeatedly."""
    return may_wait(own.input) and request.refused < MAX_REFUSED


def _may_take(request: _Request, turn: Turn, *, urgent: bool) -> bool:
    """Return whether a request may take the turn: its holder may be dead, or less urgent."""
    if request.pace.idle >= PATIENCE:
        return True
    match turn.state:
        case TurnState.TAKEN:
            return urgent
        case TurnState.URGENT:
            return False
        case _:
            return True
