"""Choice of the queued Exec that starts next.

The laws compare the dispatcher with a plain rule over the whole queue: of the attempts that no full
capacity group blocks, the one queued first starts, if the machine has room for it.
"""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conducto_core.run.model.records import Wait
from conducto_core.run.rules.admission import AdmissionQueue, QueuedAttempt, QueueLimit
from support.laws import law

CPU, MEM, GPU = 4.0, 8.0, 2


def dispatcher(cpu=CPU, mem=MEM, gpu=GPU):
    return AdmissionQueue(cpu=cpu, mem=mem, gpu=gpu)


def add(queue, key, *, cpu=1.0, mem=1.0, gpu=0, limits=()):
    ticket = QueuedAttempt(key, cpu, mem, gpu, tuple(limits))
    queue.add(ticket)
    return ticket


def take_all(queue):
    taken = []
    while (ticket := queue.next_admitted()) is not None:
        taken.append(ticket)
    return taken


def keys(tickets):
    return [ticket.key for ticket in tickets]


def group(key, room=1):
    return QueueLimit(key, room, Wait(f"{key} is full", "turn"))


# ---- stories ------------------------------------------------------------------------------------


def test_an_empty_queue_gives_nothing():
    assert dispatcher().next_admitted() is None


def test_attempts_start_in_queue_order():
    queue = dispatcher()
    for key in "abc":
        add(queue, key)

    assert keys(take_all(queue)) == ["a", "b", "c"]


def test_the_machine_is_never_promised_twice():
    queue = dispatcher(cpu=2)
    for key in "abc":
        add(queue, key)

    assert keys(take_all(queue)) == ["a", "b"]
    assert queue.cpu == 0


@pytest.mark.parametrize(
    "wants",
    [
        pytest.param({"cpu": 4.5}, id="cpu"),
        pytest.param({"mem": 8.5}, id="mem"),
        pytest.param({"gpu": 3}, id="gpu"),
    ],
)
def test_each_size_of_the_machine_counts(wants):
    queue = dispatcher()
    add(queue, "large", **wants)

    assert queue.next_admitted() is None


def test_large_attempt_at_the_head_is_not_overtaken():
    queue = dispatcher(cpu=2)
    small = add(queue, "small")
    add(queue, "large", cpu=2)
    add(queue, "smaller", cpu=0.5)

    assert queue.next_admitted() is small
    assert queue.next_admitted() is None
    queue.release(small)
    assert keys(take_all(queue)) == ["large"]


def test_attempt_that_waits_for_its_group_delays_no_other():
    queue = dispatcher()
    limits = [group("g")]
    first = add(queue, "first", limits=limits)
    add(queue, "second", limits=limits)
    add(queue, "other")

    assert keys(take_all(queue)) == ["first", "other"]
    queue.release(first)
    assert keys(take_all(queue)) == ["second"]


def test_attempt_that_waited_for_its_group_keeps_its_place():
    queue = dispatcher(cpu=2)
    holder = add(queue, "holder", limits=[group("g")])
    filler = add(queue, "filler")
    add(queue, "waits", limits=[group("g")])
    take_all(queue)
    add(queue, "later")

    queue.release(holder)
    queue.release(filler)

    assert keys(take_all(queue)) == ["waits", "later"]


def test_every_group_above_must_have_room():
    queue = dispatcher()
    outer, inner = group("outer", 2), group("inner", 1)
    first = add(queue, "first", limits=[inner, outer])
    add(queue, "second", limits=[inner, outer])
    add(queue, "third", limits=[outer])
    add(queue, "fourth", limits=[outer])

    assert keys(take_all(queue)) == ["first", "third"]
    queue.release(first)
    assert keys(take_all(queue)) == ["second"]


def test_attempt_blocked_by_a_second_group_frees_its_slot_in_the_first():
    queue = dispatcher()
    a, b = group("a"), group("b")
    in_a = add(queue, "in a", limits=[a])
    add(queue, "in b", limits=[b])
    add(queue, "in both", limits=[a, b])
    add(queue, "next in a", limits=[a])
    take_all(queue)

    queue.release(in_a)

    assert keys(take_all(queue)) == ["next in a"]


def test_withdrawn_attempt_is_never_taken():
    queue = dispatcher()
    gone = add(queue, "gone")
    add(queue, "stays")

    queue.withdraw(gone)

    assert keys(take_all(queue)) == ["stays"]


def test_withdrawing_the_large_one_at_the_head_lets_the_small_ones_go():
    queue = dispatcher(cpu=2)
    add(queue, "runs")
    large = add(queue, "large", cpu=2)
    add(queue, "small")
    take_all(queue)

    queue.withdraw(large)

    assert keys(take_all(queue)) == ["small"]


def test_withdrawing_one_that_waits_for_its_group_lets_the_one_behind_it_in():
    queue = dispatcher()
    limits = [group("g")]
    holder = add(queue, "holder", limits=limits)
    gone = add(queue, "gone", limits=limits)
    add(queue, "behind", limits=limits)
    take_all(queue)

    queue.withdraw(gone)
    queue.release(holder)

    assert keys(take_all(queue)) == ["behind"]


def test_withdrawing_an_admitted_attempt_admits_the_next_one():
    queue = dispatcher()
    limits = [group("g")]
    holder = add(queue, "holder", limits=limits)
    gone = add(queue, "gone", limits=limits)
    add(queue, "behind", limits=limits)
    take_all(queue)
    queue.release(holder)

    queue.withdraw(gone)

    assert keys(take_all(queue)) == ["behind"]


def test_fractions_add_up_to_the_whole_machine():
    queue = dispatcher(cpu=1.0)
    for key in range(10):
        add(queue, key, cpu=0.1, mem=0.1)

    assert len(take_all(queue)) == 10


def test_attempt_that_fits_the_whole_machine_fits_again_after_many_fractions():
    queue = dispatcher(cpu=1.0)
    for key in range(1000):
        add(queue, key, cpu=0.1, mem=0.1)
    for _ in range(1000):
        queue.release(queue.next_admitted())

    add(queue, "whole", cpu=1.0)

    assert keys(take_all(queue)) == ["whole"]


def test_a_raised_limit_holds_for_those_that_are_queued_with_it():
    queue = dispatcher()
    old = add(queue, "old", limits=[group("g", 1)])
    assert queue.next_admitted() is old
    for key in "abc":
        add(queue, key, limits=[group("g", 2)])

    assert keys(take_all(queue)) == ["a"]
    queue.release(old)
    assert keys(take_all(queue)) == ["b"]


def test_the_reason_names_the_group_that_is_full():
    queue = dispatcher()
    add(queue, "first", limits=[group("g")])
    second = add(queue, "second", limits=[group("g")])
    take_all(queue)

    assert queue.reason(second).text == "g is full"


def test_reason_names_the_missing_resources():
    queue = dispatcher(cpu=2)
    add(queue, "runs")
    large = add(queue, "large", cpu=2, mem=1.5)
    take_all(queue)

    assert queue.reason(large).text == "needs 2 cpu and 1.5 GB; 1 cpu and 7 GB are free"


def test_the_reason_of_one_that_could_start_is_that_it_is_next():
    queue = dispatcher()

    assert queue.reason(add(queue, "a")).text == "next in the queue"


# ---- laws ---------------------------------------------------------------------------------------

GROUPS = [group("a", 1), group("b", 2), group("c", 3)]

TICKETS = st.builds(
    lambda cpu, mem, gpu, limits: QueuedAttempt(None, cpu, mem, gpu, tuple(limits)),
    st.sampled_from([0.25, 0.5, 1.0, 2.0, CPU]),
    st.sampled_from([0.5, 1.0, 4.0, MEM]),
    st.sampled_from([0, 0, 0, 1, GPU]),
    st.lists(st.sampled_from(GROUPS), max_size=3, unique_by=lambda limit: limit.key),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), TICKETS),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("release"), st.integers(0, 100)),
        st.tuples(st.just("withdraw"), st.integers(0, 100)),
    ),
    max_size=60,
)


class Play:
    """A dispatcher, and a record of every call to it."""

    def __init__(self):
        self.queue = dispatcher()
        self.waiting = []
        self.running = []
        self.taken = []

    def do(self, step, what):
        match step:
            case "add":
                self.queue.add(what)
                self.waiting.append(what)
            case "take":
                self.take()
            case "release" if self.running:
                self.queue.release(self.running.pop(what % len(self.running)))
            case "withdraw" if self.waiting:
                self.queue.withdraw(self.waiting.pop(what % len(self.waiting)))

    def take(self):
        due = self.due()
        ticket = self.queue.next_admitted()
        assert ticket is due
        if ticket is not None:
            self.waiting.remove(ticket)
            self.running.append(ticket)
            self.taken.append(ticket)
        return ticket

    def due(self):
        """The rule, over the whole queue."""
        free = next((t for t in self.waiting if all(self.room(x) for x in t.limits)), None)
        return free if free is not None and self.fits(free) else None

    def room(self, limit):
        return sum(limit in ticket.limits for ticket in self.running) < limit.room

    def fits(self, ticket):
        cpu, mem, gpu = self.used()
        return cpu + ticket.cpu <= CPU and mem + ticket.mem <= MEM and gpu + ticket.gpu <= GPU

    def used(self):
        return tuple(sum(getattr(t, size) for t in self.running) for size in ("cpu", "mem", "gpu"))


def played(steps):
    play = Play()
    for step, what in steps:
        play.do(step, what)
    return play


def queued(cpus, limits):
    return [QueuedAttempt(number, cpu, limits=limits) for number, cpu in enumerate(cpus)]


@law(150)
@given(STEPS)
def test_first_unblocked_attempt_starts_if_it_fits(steps):
    play = Play()

    for step, what in steps:
        play.do(step, what)  # compares at every take

    assert len(play.waiting) + len(play.running) <= len(steps)


@law(100)
@given(STEPS)
def test_neither_machine_nor_group_is_ever_over_full(steps):
    play = Play()

    for step, what in steps:
        play.do(step, what)
        assert all(u <= size for u, size in zip(play.used(), (CPU, MEM, GPU), strict=True))
        assert (play.queue.cpu, play.queue.mem, play.queue.gpu) == tuple(
            size - u for u, size in zip(play.used(), (CPU, MEM, GPU), strict=True)
        )
        for limit in GROUPS:
            assert sum(limit in t.limits for t in play.running) <= limit.room


@law(100)
@given(STEPS)
def test_every_queued_attempt_is_taken_once_as_running_ones_end(steps):
    play = played(steps)
    left = list(play.waiting)
    before = len(play.taken)

    while play.waiting or play.running:
        while play.take() is not None:
            pass
        play.queue.release(play.running.pop(0))

    rest = play.taken[before:]
    assert sorted(map(id, rest)) == sorted(map(id, left))
    assert (play.queue.cpu, play.queue.mem, play.queue.gpu) == (CPU, MEM, GPU)


@law(50)
@given(st.lists(st.sampled_from([0.5, 1.0, 2.0, CPU]), max_size=20), st.booleans())
def test_members_of_the_same_groups_start_in_the_order_they_came(cpus, together):
    play = Play()
    for ticket in queued(cpus, (GROUPS[1],) if together else ()):
        play.do("add", ticket)

    while play.waiting or play.running:
        while play.take() is not None:
            pass
        play.queue.release(play.running.pop())

    assert all(a.number < b.number for a, b in pairwise(play.taken))


@law(50)
@given(st.lists(TICKETS, max_size=10))
def test_attempt_that_needs_the_whole_machine_starts_before_later_ones(earlier):
    play = Play()
    for ticket in earlier:
        play.do("add", ticket)
    whole = QueuedAttempt("whole", CPU, MEM, GPU)
    play.do("add", whole)

    later = []
    while whole not in play.running:
        later.append(QueuedAttempt("later", 0.25, 0.5))
        play.do("add", later[-1])
        while play.take() is not None:
            pass
        if whole not in play.running:
            play.queue.release(play.running.pop(0))

    assert len(later) <= len(earlier) + 1
    assert not set(map(id, play.taken)) & set(map(id, later))
