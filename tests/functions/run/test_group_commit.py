"""Every state that the commit protocol can reach with three clients on a small pipeline.

Worker A claims the node X, then reports it with the claim of the node Y. Worker B was given X as
well (its task was offered again): it claims X, and reports if it may run. In another scope, B was
given Y. A worker whose claim must wait claims once more. The reconciler C declares A lost. The
table is in memory; the decisions, entries and states are the product's.

Any client may write at any time, because safety does not depend on the turn. An entry may stay in
flight for any time or be lost, so a writer may have read any older journal. A writer folds any part
of the inbox, so an input may as well arrive late, or again. Requests may die at any
step, and are repeated.
"""

from __future__ import annotations

import pickle
from collections import deque
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from chalicelib.run.claims import Claims
from chalicelib.run.model import Claimed, JournalEntry, Reported, Submitted, WorkerLost
from chalicelib.run.rules.changes import merged
from chalicelib.run.rules.pipeline import FoldError, fold, fresh, replay
from chalicelib.secrets.injection import inject_commands
from conducto_core.asl.rules.naming import node_id
from conducto_core.errors import TransitionError
from conducto_core.run.model.states import State
from conducto_core.workers.model import Claim, ClaimDecision
from support.cloud.world import ME, World
from support.trees import parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.run.model import Input
    from chalicelib.run.rules.changes import PipelineChanges
    from chalicelib.run.rules.pipeline import CloudPipeline

NOW = 1_000_000.0


class Client(NamedTuple):
    """A client.

    Attributes:
        step: What it does: ``claim``, ``claim again``, ``report`` with the claim of the next node,
            ``claim next``, ``lose`` or ``served``.
        number: Number of earlier inputs of this step, which were refused or whose request died.
        pending: The input whose result its request awaits.
        sent: Whether that was sent to the inbox.
        died: Whether a request of it has died.
    """

    step: str
    number: int = 0
    pending: int | None = None
    sent: bool = False
    died: bool = False


class Position(NamedTuple):
    """A state of everything; entries and inputs are numbers."""

    journal: tuple[int, ...] = ()
    inbox: frozenset[int] = frozenset()
    flights: frozenset[tuple[int, int]] = frozenset()
    clients: tuple[Client, ...] = (Client("claim"), Client("claim"), Client("lose"))
    starts: tuple[Start, ...] = ()


class Start(NamedTuple):
    """An attempt that a worker has started."""

    path: str
    number: int
    worker: str


class Violation(Exception):  # noqa: N818
    """A property does not hold."""


def no_tree(_key: str, _kind: str = "tree") -> bytes:
    raise LookupError


@dataclass
class Protocol:
    """The protocol, without the rule that ``broken`` names."""

    broken: str
    deaths: int
    flights: int
    start: bytes
    workers: tuple[str, str]
    claims: Claims
    run: str
    secrets: Any
    inputs: list[Submitted] = field(default_factory=list)
    entries: list[tuple[JournalEntry, frozenset[int]]] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)
    _states: dict[tuple[int, ...], tuple[bytes, CloudPipeline, tuple[Start, ...]]] = field(
        default_factory=dict
    )
    _folds: dict[Any, int] = field(default_factory=dict)

    # ---- the product's decisions ---------------------------------------------------------------

    def state(self, journal: tuple[int, ...]) -> tuple[bytes, CloudPipeline, tuple[Start, ...]]:
        """Return the state that follows from a journal, as bytes and to read, and its starts."""
        found = self._states.get(journal)
        if found is None:
            packed, begun = self.start, ()
            if journal:
                before, _, begun = self.state(journal[:-1])
                live = self._unpacked(before)
                changes = replay(live, self.entries[journal[-1]][0])
                begun += tuple(_begun(live, merged(changes.values())))
                vars(live.crew).pop("_claim_next", None)
                packed = pickle.dumps(live)
            found = self._states[journal] = (packed, pickle.loads(packed), begun)
        return found

    def _unpacked(self, packed: bytes) -> CloudPipeline:
        live: CloudPipeline = pickle.loads(packed)
        if self.broken == "the claim of a report is not checked again":
            live.crew._claim_next = lambda _worker, claim: live.crew.claimed(claim)  # type: ignore[method-assign]
        return live

    def decide(self, journal: tuple[int, ...], index: int, client: Client) -> int | None:
        """Return the input on which a client decides now, if any."""
        live = self.state(journal)[1]
        happened = self._happened(live, index, client.step)
        if happened is None:
            return None
        name = f"{index} {client.step} {client.number}"
        submitted = Submitted(id=name, input=happened, seen=live.number)
        return self._intern(self.inputs, submitted.model_dump_json(), submitted)

    def _happened(self, live: CloudPipeline, index: int, step: str) -> Input | None:
        worker = live.registry.workers.get(self.workers[0 if step == "lose" else index])
        if worker is None:
            return None
        if step == "lose":
            return WorkerLost(time=NOW, worker=worker.id, reason="lost")
        call = self._call(index, step)
        claimed = Claimed(
            time=NOW, worker=worker.id, token=call.token, run=call.run, node=call.node
        )
        if step != "report":
            return self.claims.begin(live, claimed, self.secrets)
        if not worker.runs("/x", worker.attempt):
            return None
        following = self.claims.begin_next(live, claimed, self.secrets)
        return Reported(
            time=NOW, worker=worker.id, path="/x", attempt=worker.attempt, next=following
        )

    def _call(self, index: int, step: str) -> Claim:
        node = "/x" if step in ("claim", "claim again") else "/y"
        return Claim(token=f"{node} {index}", run=self.run, node=node_id(node))

    def answered(
        self, journal: tuple[int, ...], index: int, client: Client
    ) -> tuple[str, Start | None]:
        """Return a client's next step, and the attempt that it starts, if any."""
        live = self.state(journal)[1]
        whose = None if client.step == "lose" else self.workers[index]
        worker = live.registry.workers.get(whose or "")
        if worker is None:
            return "served", None
        happened = None if client.pending is None else self.inputs[client.pending].input
        if client.step == "report" and not (isinstance(happened, Reported) and happened.next):
            return "claim next", None
        response = self.claims.decision(live, worker, self._call(index, client.step), self.secrets)
        if response.decision is ClaimDecision.RUN:
            start = Start(response.path, response.attempt, worker.id)
            return "report" if response.path == "/x" else "served", start
        waits = response.decision is ClaimDecision.HOLD and client.step == "claim"
        return "claim again" if waits else "served", None

    def folded(self, journal: tuple[int, ...], own: int | None, part: tuple[int, ...]) -> int:
        """Return the entry with these inputs."""
        key = (journal, own, part)
        found = self._folds.get(key)
        if found is None:
            live = self._unpacked(self.state(journal)[0])
            if self.broken == "a waiting input is not checked again" and own is None:
                own, part = part[0], part[1:]
            if self.broken == "an input in the journal is folded again":
                live.taken.clear()
            waiting = [self.inputs[each] for each in part]
            try:
                made = fold(live, None if own is None else self.inputs[own], waiting)
            except (TransitionError, FoldError) as error:
                raise Violation(str(error)) from error
            entry = JournalEntry(inputs=tuple(made.inputs), refused=made.refused)
            arrived = frozenset(part if own is None else (*part, own))
            text = f"{entry.model_dump_json()} {sorted(arrived)}"
            found = self._folds[key] = self._intern(self.entries, text, (entry, arrived))
        return found

    def _intern(self, where: list[Any], text: str, value: Any) -> int:
        if text not in self._numbers:
            self._numbers[text] = len(where)
            where.append(value)
        return self._numbers[text]

    # ---- the table and the requests ------------------------------------------------------------

    def successors(self, s: Position) -> Iterator[tuple[str, Position]]:
        for what, after in self._all(s):
            yield what, self._without_what_has_no_effect(after)

    def _without_what_has_no_effect(self, s: Position) -> Position:
        if self.broken != "an entry replaces another":
            s = s._replace(flights=frozenset(f for f in s.flights if f[0] == len(s.journal)))
        if self.broken != "an input in the journal is folded again":
            taken = self.state(s.journal)[1].taken
            s = s._replace(inbox=frozenset(i for i in s.inbox if self.inputs[i].id not in taken))
        return s

    def _all(self, s: Position) -> Iterator[tuple[str, Position]]:
        for flight in s.flights:
            at, entry = flight
            others = s.flights - {flight}
            journal = (*s.journal[:at], entry, *s.journal[at + 1 :])
            written = s._replace(journal=journal, flights=others)
            yield f"entry {at} is written: {self._shown(entry)}", written
            yield f"entry {at} is lost: {self._shown(entry)}", s._replace(flights=others)
        yield from self._writing(s, "a request", None)
        for index, client in enumerate(s.clients):
            for what, after, starts, changed in self._client(s, index, client):
                clients = (*s.clients[:index], after, *s.clients[index + 1 :])
                yield f"{'ABC'[index]} {what}", changed._replace(clients=clients, starts=starts)

    def _writing(self, s: Position, writer: str, own: int | None) -> Iterator[tuple[str, Position]]:
        """Send an entry with the own input, if any, and any of the waiting ones."""
        if len(s.flights) >= self.flights:
            return
        first = len(s.journal)
        if self.broken == "an entry replaces another":
            first = max(0, first - 1)
        for at in range(first, len(s.journal) + 1):
            journal = s.journal[:at]
            live = self.state(journal)[1]
            waiting = sorted(s.inbox)
            if self.broken != "an input in the journal is folded again":
                known = {each.id for each in fresh(live, [self.inputs[i] for i in waiting])}
                waiting = [i for i in waiting if self.inputs[i].id in known]
            for size in range(0 if own is not None else 1, len(waiting) + 1):
                for part in combinations(waiting, size):
                    entry = self.folded(journal, own, part)
                    after = s._replace(flights=s.flights | {(at, entry)})
                    if self.broken == "an input is deleted before its entry is written":
                        after = after._replace(inbox=s.inbox.difference(part))
                    yield f"{writer} sends entry {at}: {self._shown(entry)}", after

    def _client(
        self, s: Position, index: int, client: Client
    ) -> Iterator[tuple[str, Client, tuple[Start, ...], Position]]:
        if client.step == "served":
            return
        if client.pending is None:
            own = self.decide(s.journal, index, client)
            if own is None:
                yield self._told(s.journal, s, index, client)
                return
            waits = client._replace(pending=own, sent=True)
            yield "sends its input", waits, s.starts, s._replace(inbox=s.inbox | {own})
            for what, after in self._writing(s, "itself", own):
                yield what, client._replace(pending=own), s.starts, after
            return
        name = self.inputs[client.pending].id
        again = client._replace(number=client.number + 1, pending=None, sent=False)
        if name in self.state(s.journal)[1].taken:
            if any(name in self.entries[each][0].refused for each in s.journal):
                yield "is refused", again, s.starts, s
            else:
                yield self._told(s.journal, s, index, client)
            return
        if sum(each.died for each in s.clients) < self.deaths and not client.died:
            yield "dies and is repeated", again._replace(died=True), s.starts, s
        on_its_way = any(client.pending in self.entries[e][1] for _, e in s.flights)
        if not client.sent and not on_its_way:
            yield "has lost and decides again", client._replace(pending=None), s.starts, s
        if self.broken == "a response is sent before its entry is written":
            for at, entry in s.flights:
                if at == len(s.journal) and name in [e.id for e in self.entries[entry][0].inputs]:
                    yield self._told((*s.journal, entry), s, index, client)

    def _told(
        self, journal: tuple[int, ...], s: Position, index: int, client: Client
    ) -> tuple[str, Client, tuple[Start, ...], Position]:
        step, start = self.answered(journal, index, client)
        starts = s.starts if start is None else tuple(sorted((*s.starts, start)))
        return f"goes on: {step} {start or ''}", Client(step, died=client.died), starts, s

    def _shown(self, entry: int) -> str:
        made = self.entries[entry][0]
        return ", ".join([*(each.id for each in made.inputs), *map("not {}".format, made.refused)])

    # ---- properties ----------------------------------------------------------------------------

    def check(self, s: Position, before: Position) -> None:
        if s.journal[: len(before.journal)] != before.journal:
            raise Violation("what a reader has read was changed")
        taken = [each for e in s.journal for each in self.entries[e][0].inputs]
        if len({each.id for each in taken}) < len(taken):
            raise Violation("an input took effect twice")
        if _repeats(s.starts):
            raise Violation("an attempt was started twice")
        begun = self.state(s.journal)[2]
        if not set(begun).issuperset(s.starts):
            raise Violation("a command was started that is not in the journal")
        if _repeats(begun):
            raise Violation("an attempt is in the journal twice")


def _begun(live: CloudPipeline, changes: PipelineChanges) -> Iterator[Start]:
    """Yield the attempts that an entry starts; an attempt that it ends as well is stored."""
    ended = {(each.path, each.number): each for each in changes.attempts}
    for row in changes.changes:
        if row.state is State.RUNNING:
            record = ended.get((row.path, row.attempt)) or live.in_flight[row.path]
            yield Start(row.path, row.attempt, str(record.container))


def _repeats(starts: tuple[Start, ...]) -> bool:
    return len({start[:2] for start in starts}) < len(starts)


def explore(protocol: Protocol, first: Position) -> int:
    """Visit every state after the first; return their number.

    Raises:
        Violation: A property does not hold; the message has the steps to the state.
    """
    ids, states, came = {first: 0}, [first], [(-1, "")]
    sources: list[list[int]] = [[]]
    queue = deque([0])
    while queue:
        number = queue.popleft()
        state = states[number]
        for what, after in protocol.successors(state):
            if after not in ids:
                ids[after] = len(states)
                states.append(after)
                came.append((number, what))
                sources.append([])
                queue.append(ids[after])
            sources[ids[after]].append(number)
            try:
                protocol.check(after, state)
            except Violation as violation:
                raise Violation(f"{violation}\n{_way(came, number)}\n  {what}") from None
    good = {n for n, s in enumerate(states) if all(c.step == "served" for c in s.clients)}
    stack = list(good)
    while stack:
        new = [n for n in sources[stack.pop()] if n not in good]
        good.update(new)
        stack += new
    for number in range(len(states)):
        if number not in good:
            raise Violation(f"a client cannot be served any more\n{_way(came, number)}")
    return len(states)


def _way(came: list[tuple[int, str]], number: int) -> str:
    steps: list[str] = []
    while number > 0:
        number, what = came[number]
        steps.append(f"  {what}")
    return "\n".join(reversed(steps))


def protocol(broken: str = "", *, deaths: int, flights: int = 1) -> Protocol:
    """Return the protocol for a pipeline with two workers that wait.

    Args:
        broken: The rule to leave out.
        deaths: Number of clients of which a request may die.
        flights: Number of entries that may be in flight at once.
    """
    world = World()
    pipeline = world.launch(parallel("x", "y"))
    a, b = world.start_workers()
    with world.engine.reading(ME.org, pipeline) as live:
        live.tree_of = no_tree
        return Protocol(
            broken,
            deaths,
            flights,
            pickle.dumps(live),
            (a.id, b.id),
            Claims(
                world.cloud.records,
                world.cloud.timing,
                world.cloud.storage.logs,
                world.cloud.secrets.references,
                world.cloud.billing,
                url=world.cloud.installation.url,
                worker=a.identity,
                caches=world.engine.caches,
            ),
            live.cloud_machine.run,
            lambda access, _queued: inject_commands(world.vault, ME.org, access, {}),
        )


#: Worker B was given the node that worker A claims with its report.
RIVALS = (Client("claim"), Client("claim next"), Client("lose"))


def test_nothing_is_lost_or_done_twice_in_any_state() -> None:
    assert explore(protocol(deaths=0), Position()) > 10_000


def test_claim_of_a_report_competes_with_another_one() -> None:
    assert explore(protocol(deaths=0), Position(clients=RIVALS)) > 10_000


@pytest.mark.long
@pytest.mark.parametrize(("deaths", "flights"), [(1, 1), (0, 2)])
def test_nothing_is_lost_or_done_twice_in_a_larger_scope(deaths: int, flights: int) -> None:
    assert explore(protocol(deaths=deaths, flights=flights), Position()) > 10_000


@pytest.mark.parametrize(
    ("rule", "violation"),
    [
        ("an entry replaces another", "what a reader has read"),
        ("an input in the journal is folded again", "took effect twice"),
        ("an input is deleted before its entry is written", "cannot be served"),
        ("a response is sent before its entry is written", "not in the journal"),
        ("a waiting input is not checked again", "attempt 1 while running in attempt 1"),
        ("the claim of a report is not checked again", "cannot be applied"),
    ],
)
def test_each_rule_is_needed(rule: str, violation: str) -> None:
    first = Position()
    if "report" in rule:
        first = Position(clients=RIVALS)
    if violation == "cannot be served":  # B is not needed for this, and all states are visited
        first = Position(clients=(Client("claim"), Client("served"), Client("lose")))
    with pytest.raises(Violation, match=violation):
        explore(protocol(rule, deaths=0), first)
