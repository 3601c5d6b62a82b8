"""Laws that hold after agents have crashed and the pipeline has still settled."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from typing import NamedTuple

from conducto_core.notifications.model import NotificationRecord
from conducto_core.run.model.records import AttemptRecord, NodeChange
from conducto_core.run.model.states import FINISHED, Cause, State
from conducto_core.run.rules.live_nodes import LiveGroup
from conducto_core.run.rules.outcomes import Failure, FailureDecision, decide_failure, suppress
from conducto_core.run.rules.tree_state import TreeState
from conducto_core.tree.model import NodeSpec, Pipeline, ancestors
from conducto_local.logs.store import LogDirectory
from conducto_local.run import pipelines as pipeline_loader
from conducto_local.store.sqlite import SqliteStore
from support.crash_plans import NOTES
from support.crash_rounds import Round
from support.trees import Driver, check

_UNTOUCHED = 10_000


class Aftermath(NamedTuple):
    """The contents of the store after every agent has stopped."""

    tree: TreeState
    attempts: dict[str, list[AttemptRecord]]
    changes: list[NodeChange]
    notifications: list[NotificationRecord]


def check_all(played: Round, states: dict[str, State]) -> None:
    """Check every law of this module; ``states`` are the last agent's states of the nodes."""
    after = read_store(played)
    assert states == {path: node.state for path, node in after.tree.nodes.items()}
    check_states(after)
    check_events(played, after)
    check_history(played, after)
    check_attempts(played, after)
    check_actions(played, after)
    check_runs(played, after)
    check_output(played, after)
    check_notifications(after)
    check_agent_log(played)


def read_store(played: Round) -> Aftermath:
    """Open the store like the next agent would, and check the file's integrity."""
    store = SqliteStore.open(played.home.store)
    try:
        (record,) = [r for r in store.records() if r.id == played.id]
        live = pipeline_loader.load(store, record)
        attempts = defaultdict(list)
        for attempt in store.attempts(played.id):
            attempts[attempt.path].append(attempt)
        changes = store.changes(played.id, 0, _UNTOUCHED)
        notifications = store.notifications(played.id)
    finally:
        store.close()
    with sqlite3.connect(played.home.store) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    return Aftermath(live.tree, attempts, changes, notifications)


def check_states(after: Aftermath) -> None:
    """Check that groups match their leaves, and that no runnable node waits."""
    assert after.tree.armed
    told = {change.path: change for change in after.changes}
    for path, node in after.tree.nodes.items():
        if path in told:
            assert (told[path].state, told[path].skipped) == (node.state, node.skipped), path
    specs = {path: node.spec for path, node in after.tree.nodes.items()}
    driver = Driver(Pipeline(specs, {}), armed=False)
    driver.tree = after.tree
    check(driver)


def check_events(played: Round, after: Aftermath) -> None:
    """Check that the sequence has no gap, and keeps every change that a client received."""
    assert [c.seq for c in after.changes] == list(range(1, len(after.changes) + 1))
    assert after.changes[: len(played.seen.changes)] == played.seen.changes


def check_history(played: Round, after: Aftermath) -> None:
    """Check that ended attempts are unchanged, and that successful ones do not run again."""
    for (path, number), attempt in played.seen.ended.items():
        assert after.attempts[path][number - 1] == attempt
        again = _is_ordered(played, path) or _tried_again_by_a_group(after, path)
        if attempt.state is State.DONE and not again:
            assert len(after.attempts[path]) == number, f"{path}: done, and ran again"


def check_attempts(played: Round, after: Aftermath) -> None:
    """Check that every attempt has a valid cause and a valid successor."""
    for path, attempts in after.attempts.items():
        assert [a.number for a in attempts] == list(range(1, len(attempts) + 1)), path
        assert all(a.state in FINISHED for a in attempts), path
        lost = [a for a in attempts if a.cause is Cause.WORKER_LOST]
        assert len(lost) <= played.deaths, path
        if path not in after.tree.nodes:  # the tree was to be generated again
            continue
        for attempt in attempts:
            _check_end(played, after, attempt)
        if not _is_ordered(played, path) and not _tried_again_by_a_group(after, path):
            _check_tries(after, path, attempts)


def _check_end(played: Round, after: Aftermath, attempt: AttemptRecord) -> None:
    path, script = attempt.path, played.plan.scripts[attempt.path]
    limited = any(_spec(after, p).max_time is not None for p in (path, *ancestors(path)))
    match attempt.cause:
        case None:
            assert attempt.state is State.DONE
            assert script.succeeds(attempt.number), path
        case Cause.EXIT_CODE:
            assert (attempt.state, attempt.exit_code) == (State.ERROR, 1)
            assert not script.succeeds(attempt.number), path
        case Cause.TIMEOUT:
            assert limited, path
        case Cause.KILLED_BY_USER:
            assert _is_ordered(played, path), path
        case Cause.WORKER_LOST:
            assert attempt.message is not None
            assert attempt.message.startswith("the agent was stopped while this ran"), path
        case other:
            raise AssertionError(f"{path}: {other}: {attempt.message}")


def _check_tries(after: Aftermath, path: str, attempts: list[AttemptRecord]) -> None:
    callbacks = _spec(after, path).callbacks
    for attempt in attempts[:-1]:
        failure = Failure(attempt.state, attempt.cause, attempt.number, mem=2.0, seconds=1.0)
        decision = decide_failure(callbacks, failure).kind
        assert decision is FailureDecision.RETRY, (
            f"{path}: attempt {attempt.number + 1} has no reason"
        )
    node, last = after.tree.nodes[path], attempts[-1]
    if node.state is not State.PENDING:
        shown, _ = suppress(last.state, suppress_errors=node.spec.suppress_errors)
        assert node.state is shown, path


def check_actions(played: Round, after: Aftermath) -> None:
    """Check that acknowledged actions took effect."""
    for path, (order, ended) in played.actions.items():
        node = after.tree.nodes.get(path)
        if order == "skip":
            # A regenerated tree starts in its printed state.
            again = any(len(after.attempts[maker]) > 1 for maker in _makers(path))
            assert node is None or node.skipped or again, f"{path}: not skipped"
        elif order == "reset" and ended and node is not None:
            ran = len(after.attempts[path]) > ended
            assert ran or node.state is State.PENDING, f"{path}: the reset is lost"


def check_runs(played: Round, after: Aftermath) -> None:
    """Check that each attempt ran its command once, and never beside another one of its node."""
    notes = played.notes / NOTES
    lines = notes.read_text().splitlines() if notes.exists() else []
    assert len(lines) == len(set(lines)), "a command ran twice as one attempt"
    newest: dict[str, int] = defaultdict(int)
    for line in lines:
        what, path, word = line.split()
        number = int(word)
        assert number <= len(after.attempts[path]), f"{line}: there is no such attempt"
        if what == "begin":
            newest[path] = number
        assert number == newest[path], f"{line}, while attempt {newest[path]} ran"
    for path, attempts in after.attempts.items():
        for attempt in attempts:
            if attempt.cause in (None, Cause.EXIT_CODE):
                me = f"{path} {attempt.number}"
                assert {f"begin {me}", f"end {me}"} <= set(lines), f"{me}: did not run"


def check_output(played: Round, after: Aftermath) -> None:
    """Check that stored output equals printed output, including all that a client has read."""
    logs = LogDirectory(played.home.pipeline(played.id).logs)
    for path, attempts in after.attempts.items():
        for attempt in attempts:
            kept = logs.reader(path, attempt.number).read("stdout").data
            whole = played.plan.scripts[path].output(path, attempt.number)
            assert whole.startswith(kept), f"{path} {attempt.number}: {kept!r}"
            if attempt.cause in (None, Cause.EXIT_CODE):
                assert kept == whole, f"{path} {attempt.number}"
            read = played.seen.output.get((path, attempt.number), b"")
            assert kept.startswith(read), f"{path} {attempt.number}: {read!r} was read"


def check_notifications(after: Aftermath) -> None:
    """Check that each start causes one notification, if enabled."""
    sent = [(each.path, each.attempt) for each in after.notifications]
    assert len(sent) == len(set(sent)), "a notification was sent twice"
    started = {(c.path, c.attempt) for c in after.changes if c.state is State.RUNNING}
    for path, node in after.tree.nodes.items():
        if any(callback.name == "email" for callback in node.spec.callbacks):
            mine = {attempt for p, attempt in started if p == path}
            assert mine == {attempt for p, attempt in sent if p == path}, path


def check_agent_log(played: Round) -> None:
    lines = played.files.log.read_text().splitlines()
    wrong = [line for line in lines if "level=error" in line or line.startswith("Traceback")]
    assert not wrong, wrong


def _spec(after: Aftermath, path: str) -> NodeSpec:
    return after.tree.nodes[path].spec


def _is_ordered(played: Round, path: str) -> bool:
    """Return whether an action was on a node, or on the Generate that its tree is from."""
    return not played.actions.keys().isdisjoint({path, *_makers(path)})


def _makers(path: str) -> set[str]:
    """Return the paths of the Generates that a node's tree may be from."""
    return {f"{p.removesuffix('/Execute')}/Generate" for p in ancestors(path)}


def _tried_again_by_a_group(after: Aftermath, path: str) -> bool:
    above = [after.tree.nodes[p] for p in ancestors(path) if p in after.tree.nodes]
    return any(isinstance(group, LiveGroup) and group.spec.callbacks for group in above)
