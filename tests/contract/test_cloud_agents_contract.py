"""Where linked agents and relayed requests are kept: in memory, and in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.remote.model import AgentKey, AgentRecord, AgentShell, StoredSummary
from chalicelib.remote.store import TableAgents, TableRelays
from conducto_core.remote.model import MAX_CONCURRENT

if TYPE_CHECKING:
    pass

NOW = 1_000_000.0
KEY = AgentKey("acme", "laptop")
AGENT = AgentRecord(KEY, "ann", "ann.local", "1.0", "{}", 3, "c1", linked=NOW, seen=NOW)


@pytest.fixture
def agents(any_table: DynamoTable) -> TableAgents:
    return TableAgents(any_table)


@pytest.fixture
def relays(any_table: DynamoTable) -> TableRelays:
    return TableRelays(any_table, lambda: NOW)


def test_agents_of_an_organisation_are_found_as_they_connected(agents: TableAgents) -> None:
    other = replace(AGENT, key=AgentKey("acme", "desktop"), user="bob", connection="c2")
    assert agents.find(KEY) is None
    assert agents.connect(AGENT)
    assert agents.connect(other)
    assert agents.connect(replace(AGENT, key=AgentKey("acme2", "laptop")))

    assert agents.find(KEY) == AGENT
    assert list(agents.list_by_id("acme")) == [other, AGENT]
    assert agents.find(AgentKey("other", "laptop")) is None


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"epoch": 4, "connection": "c2"}, True),
        ({"epoch": 3, "connection": "c2"}, False),
        ({"epoch": 2, "connection": "c2"}, False),
        ({"epoch": 9, "connection": "c2", "user": "bob"}, False),
    ],
)
def test_connection_with_the_higher_epoch_is_valid(
    agents: TableAgents, changes: dict[str, object], *, accepted: bool
) -> None:
    agents.connect(AGENT)
    agents.number(KEY, "c1", cursor=7)
    other = replace(AGENT, linked=NOW + 9, seen=NOW + 9, **changes)  # type: ignore[arg-type]

    assert agents.connect(other) is accepted

    found = agents.find(KEY)
    expected = replace(other, linked=NOW, cursor=7) if accepted else replace(AGENT, cursor=7)
    assert found is not None
    assert replace(found, sent=1) == expected


def test_offline_agent_connects_with_any_epoch(agents: TableAgents) -> None:
    agents.connect(AGENT)
    agents.disconnect(KEY, "another", NOW + 5)
    assert agents.find(KEY) == AGENT

    agents.disconnect(KEY, "c1", NOW + 5)
    assert agents.find(KEY) == replace(AGENT, connection="", seen=NOW + 5)
    assert agents.connect(replace(AGENT, epoch=1, connection="c2"))


def test_frames_to_a_connection_have_consecutive_numbers(agents: TableAgents) -> None:
    agents.connect(AGENT)

    assert [agents.number(KEY, "c1", seen=NOW + 1), agents.number(KEY, "c1", cursor=4)] == [2, 3]
    assert agents.number(KEY, "c2", seen=NOW + 9) is None
    assert agents.number(AgentKey("acme", "unknown"), "c1") is None
    assert agents.find(KEY) == replace(AGENT, seen=NOW + 1, cursor=4, sent=3)
    assert agents.find(AgentKey("acme", "unknown")) is None


def test_summaries_are_replaced_and_removed(agents: TableAgents) -> None:
    other = AgentKey("acme", "desktop")
    for key, name, data in ((KEY, "abc", b"1"), (KEY, "abd", b"2"), (other, "abc", b"3")):
        agents.put_summary(key, name, data, NOW)
    agents.put_summary(AgentKey("acme2", "laptop"), "xyz", b"0", NOW)
    agents.put_summary(KEY, "abc", b"4", NOW + 1)
    agents.remove_summary(KEY, "abd")
    agents.remove_summary(KEY, "never")

    assert list(agents.summaries("acme")) == [
        StoredSummary("desktop", "abc", b"3", NOW),
        StoredSummary("laptop", "abc", b"4", NOW + 1),
    ]
    agents.clear_summaries(KEY)
    assert [one.agent for one in agents.summaries("acme")] == ["desktop"]


def test_followed_pipelines_are_listed_until_they_expire(agents: TableAgents) -> None:
    for name, until in (("abc", NOW + 10), ("abd", NOW + 20), ("abe", NOW + 30)):
        agents.put_followed(KEY, name, until)
    agents.remove_followed(KEY, "abe")

    assert list(agents.followed(KEY, NOW)) == ["abc", "abd"]
    assert list(agents.followed(KEY, NOW + 15)) == ["abd"]
    assert list(agents.followed(AgentKey("acme", "desktop"), NOW)) == []


def test_shell_is_found_by_its_connection_and_agent_and_ends_once(agents: TableAgents) -> None:
    shell = AgentShell(KEY, "s1", "c1", "ann", "digest", "p1", "/a")
    other = replace(shell, id="s2", connection="c2", key=AgentKey("acme", "desktop"))
    assert agents.put_shell(shell, NOW + 60)
    assert agents.put_shell(other, NOW + 60)
    assert not agents.put_shell(replace(shell, id="s3"), NOW + 60)

    assert agents.shell_of("c1") == agents.shell(KEY, "s1") == shell
    assert (agents.shell_of("c3"), agents.shell(KEY, "s2")) == (None, None)
    assert list(agents.shells(KEY)) == [shell]
    assert [agents.remove_shell(shell), agents.remove_shell(shell)] == [True, False]
    assert (agents.shell_of("c1"), list(agents.shells(KEY))) == (None, [])
    assert agents.shell_of("c2") == other


def test_forgotten_agent_leaves_nothing(agents: TableAgents) -> None:
    agents.connect(AGENT)
    agents.put_summary(KEY, "abc", b"1", NOW)
    agents.put_followed(KEY, "abc", NOW + 10)

    assert [agents.forget(KEY), agents.forget(KEY)] == [True, False]
    assert list(agents.summaries("acme")) == []
    assert list(agents.list_by_id("acme")) == []
    assert list(agents.followed(KEY, NOW)) == []


def test_requests_in_progress_are_limited_per_agent(relays: TableRelays) -> None:
    slots = [relays.reserve(KEY, NOW, NOW + 20) for _ in range(MAX_CONCURRENT)]

    assert slots == list(range(MAX_CONCURRENT))
    assert relays.reserve(KEY, NOW, NOW + 20) is None
    assert relays.reserve(AgentKey("acme", "desktop"), NOW, NOW + 20) == 0
    relays.release(KEY, 2)
    assert relays.reserve(KEY, NOW, NOW + 20) == 2
    # The requests of a process that stopped are counted only until their time is over.
    assert relays.reserve(KEY, NOW + 20, NOW + 40) == 0


def test_frames_of_a_response_are_kept_by_index(relays: TableRelays) -> None:
    for index, frame in ((2, b"c"), (0, b"a"), (10, b"k"), (0, b"a")):
        relays.put_frame(KEY, "r1", index, frame)
    relays.put_frame(AgentKey("acme", "desktop"), "r1", 1, b"x")

    assert dict(relays.frames(KEY, "r1")) == {0: b"a", 2: b"c", 10: b"k"}
    assert dict(relays.frames(KEY, "r2")) == {}
