"""Linked agents and relayed requests in memory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from chalicelib.remote.port import AgentKey, AgentRecord, AgentShell, StoredSummary
from conducto_core.remote.model import MAX_CONCURRENT


class FakeAgents:
    """A fake `chalicelib.remote.port.Agents`."""

    def __init__(self) -> None:
        self._agents: dict[AgentKey, AgentRecord] = {}
        self._summaries: dict[tuple[AgentKey, str], tuple[bytes, float]] = {}
        self._followed: dict[tuple[AgentKey, str], float] = {}
        self._shells: dict[str, AgentShell] = {}

    def connect(self, agent: AgentRecord) -> bool:
        known = self._agents.get(agent.key)
        if known is not None:
            newer = known.epoch < agent.epoch or not known.connection
            if known.user != agent.user or not newer:
                return False
            agent = replace(agent, linked=known.linked, cursor=known.cursor)
        self._agents[agent.key] = replace(agent, sent=1)
        return True

    def find(self, key: AgentKey) -> AgentRecord | None:
        return self._agents.get(key)

    def list_by_id(self, org: str) -> Sequence[AgentRecord]:
        return [self._agents[key] for key in sorted(self._agents) if key.org == org]

    def number(
        self,
        key: AgentKey,
        connection: str,
        *,
        seen: float | None = None,
        cursor: int | None = None,
    ) -> int | None:
        known = self._agents.get(key)
        if known is None or known.connection != connection:
            return None
        known = replace(known, sent=known.sent + 1)
        known = known if seen is None else replace(known, seen=seen)
        self._agents[key] = known if cursor is None else replace(known, cursor=cursor)
        return known.sent

    def disconnect(self, key: AgentKey, connection: str, now: float) -> None:
        known = self._agents.get(key)
        if known is not None and known.connection == connection:
            self._agents[key] = replace(known, connection="", seen=now)

    def forget(self, key: AgentKey) -> bool:
        self.clear_summaries(key)
        for pair in [pair for pair in self._followed if pair[0] == key]:
            del self._followed[pair]
        return self._agents.pop(key, None) is not None

    def put_summary(self, key: AgentKey, pipeline_id: str, data: bytes, now: float) -> None:
        self._summaries[key, pipeline_id] = data, now

    def remove_summary(self, key: AgentKey, pipeline_id: str) -> None:
        self._summaries.pop((key, pipeline_id), None)

    def clear_summaries(self, key: AgentKey) -> None:
        for pair in [pair for pair in self._summaries if pair[0] == key]:
            del self._summaries[pair]

    def summaries(self, org: str) -> Iterator[StoredSummary]:
        for (key, pipeline_id), (data, seen) in sorted(self._summaries.items()):
            if key.org == org:
                yield StoredSummary(key.id, pipeline_id, data, seen)

    def put_followed(self, key: AgentKey, pipeline_id: str, until: float) -> None:
        self._followed[key, pipeline_id] = until

    def followed(self, key: AgentKey, now: float) -> Sequence[str]:
        pairs = sorted(self._followed.items())
        return [name for (agent, name), until in pairs if agent == key and until > now]

    def remove_followed(self, key: AgentKey, pipeline_id: str) -> None:
        self._followed.pop((key, pipeline_id), None)

    def put_shell(self, shell: AgentShell, until: float) -> bool:
        return self._shells.setdefault(shell.connection, shell) is shell

    def shell_of(self, connection: str) -> AgentShell | None:
        return self._shells.get(connection)

    def shell(self, key: AgentKey, shell_id: str) -> AgentShell | None:
        return next((one for one in self.shells(key) if one.id == shell_id), None)

    def shells(self, key: AgentKey) -> Sequence[AgentShell]:
        return sorted(
            (one for one in self._shells.values() if one.key == key), key=lambda one: one.id
        )

    def remove_shell(self, shell: AgentShell) -> bool:
        return self._shells.pop(shell.connection, None) is not None


class FakeRelays:
    """A fake `chalicelib.remote.port.Relays`."""

    def __init__(self) -> None:
        self._slots: dict[tuple[AgentKey, int], float] = {}
        self._frames: dict[tuple[AgentKey, str], dict[int, bytes]] = {}

    def reserve(self, key: AgentKey, now: float, until: float) -> int | None:
        for slot in range(MAX_CONCURRENT):
            if self._slots.get((key, slot), now) <= now:
                self._slots[key, slot] = until
                return slot
        return None

    def release(self, key: AgentKey, slot: int) -> None:
        self._slots.pop((key, slot), None)

    def put_frame(self, key: AgentKey, request: str, index: int, frame: bytes) -> None:
        self._frames.setdefault((key, request), {})[index] = frame

    def frames(self, key: AgentKey, request: str) -> Mapping[int, bytes]:
        return dict(self._frames.get((key, request), {}))
