"""Named limits: never more than N, no overtaking, no starvation, no deadlock."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from conducto_core.limits.rules import AGE, LimitRequest, LimitTable
from conducto_core.run.model.records import Wait
from conducto_core.run.rules.admission import AdmissionQueue, QueuedAttempt, QueueLimit
from conducto_core.tree.model import NamedLimit

LIMITS = st.lists(
    st.builds(
        NamedLimit,
        st.sampled_from(["database", "licence", "api"]),
        st.integers(1, 3),
        st.integers(-2, 2),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda limit: limit.name,
).map(tuple)


class Table(RuleBasedStateMachine):
    """Requests that wait, start and end at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.table = LimitTable()
        self.now = 0.0
        self.waiting: dict[int, LimitRequest] = {}
        self.running: dict[int, LimitRequest] = {}
        self.count = 0

    @rule(limits=LIMITS, seconds=st.integers(0, 200))
    def request(self, limits, seconds) -> None:
        self.now += seconds
        self.count += 1
        made = LimitRequest(self.count, f"p /{self.count}", limits, self.now)
        self.waiting[self.count] = made
        self.try_to_start(self.count)

    def try_to_start(self, key: int) -> bool:
        made = self.waiting[key]
        if self.table.check(made) is not None:
            return False
        self.table.acquire(made)
        self.running[key] = self.waiting.pop(key)
        return True

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[key]
        self.table.end(key)
        self.start_ready()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[key]
        self.table.end(key)
        self.start_ready()

    def start_ready(self) -> None:
        while ready := self.table.ready():
            for key in ready:
                assert self.try_to_start(key)

    @invariant()
    def never_more_than_any_holder_allows(self) -> None:
        for made in self.running.values():
            for limit in made.limits:
                beside = [r for r in self.running.values() if limit.name in names(r)]
                assert len(beside) <= limit.number

    @invariant()
    def somebody_runs_while_somebody_waits(self) -> None:
        assert self.running or not self.waiting

    @invariant()
    def the_first_of_all_waits_for_holders_only(self) -> None:
        if self.waiting:
            first = min(self.waiting.values(), key=lambda made: (made.turn, made.key))
            reason = self.table.check(first)
            assert reason is not None
            assert ", held by p /" in reason.text


def names(request: LimitRequest) -> set[str]:
    return {limit.name for limit in request.limits}


Table.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestTable = Table.TestCase


def test_a_priority_ages():
    table = LimitTable()
    one = (NamedLimit("x", 1),)
    urgent = (NamedLimit("x", 1, priority=2),)
    table.acquire(LimitRequest("holder", "h", one, 0.0))
    table.check(LimitRequest("old", "old", one, 0.0))
    table.check(LimitRequest("late", "late", urgent, 2 * AGE + 1))
    table.check(LimitRequest("early", "early", urgent, 2 * AGE - 1))

    order = []
    key = "holder"
    while True:
        table.end(key)
        ready = table.ready()
        if not ready:
            break
        (key,) = ready
        order.append(key)

    assert order == ["early", "old", "late"]


@st.composite
def attempts(draw):
    """Return attempts with random sizes, groups and named limits."""
    groups = [QueueLimit("g", 1, Wait("g")), QueueLimit("context", 1, Wait("context"))]
    return [
        QueuedAttempt(
            number,
            cpu=draw(st.sampled_from([0.5, 1, 2])),
            limits=tuple(draw(st.lists(st.sampled_from(groups), max_size=2, unique=True))),
            named=draw(st.one_of(st.just(()), LIMITS)),
            since=float(number),
        )
        for number in range(draw(st.integers(1, 12)))
    ]


@settings(max_examples=60)
@given(given_attempts=attempts(), data=st.data())
def test_every_attempt_runs_beside_groups_contexts_and_a_small_machine(given_attempts, data):
    table = LimitTable()
    queues = [AdmissionQueue(cpu=2, mem=8, table=table), AdmissionQueue(cpu=2, mem=8, table=table)]
    home = {}
    for ticket in given_attempts:
        home[ticket.key] = data.draw(st.sampled_from(queues))
        home[ticket.key].add(ticket)
    running: list[QueuedAttempt] = []
    done = 0
    while True:
        started = True
        while started:
            found = [ticket for queue in queues if (ticket := queue.next_admitted()) is not None]
            running += found
            started = bool(found)
        for name in ("database", "licence", "api"):
            beside = [t for t in running if any(n.name == name for n in t.named)]
            for ticket in beside:
                number = next(n.number for n in ticket.named if n.name == name)
                assert len(beside) <= number
        if not running:
            break
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        home[ended.key].release(ended)
        done += 1
    assert done == len(given_attempts)
