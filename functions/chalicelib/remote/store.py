"""Linked agents and relayed requests in the table."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from chalicelib.aws import table_keys
from chalicelib.aws.dynamodb import NEW, DynamoTable, Item, Update
from chalicelib.errors import ConflictError
from chalicelib.remote.model import AgentKey, AgentRecord, AgentShell, StoredSummary
from conducto_core.remote.model import MAX_CONCURRENT

#: Seconds for which the frames of a response are kept.
FRAME_SECONDS = 600
_HIS_LINK = "link = :link"


class TableAgents:
    """The linked agents of organisations."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    def connect(self, agent: AgentRecord) -> bool:
        """Store an agent that has connected, with 1 as the number of the last frame to it.

        Return False, and change nothing, if it belongs to another user, or if a connection with
        the same or a higher epoch is open. The first connection's time and the cursor are kept.
        """
        known = self.find(agent.key)
        kept: Item = {} if known is None else {"linked": known.linked, "cursor": known.cursor}
        where = f"{NEW} OR (holder = :holder AND (epoch < :epoch OR link = :none))"
        values: Item = {":holder": agent.user, ":epoch": agent.epoch, ":none": ""}
        return self._table.put_if(_key(agent.key), {**_item(agent), **kept}, where, values)

    def find(self, key: AgentKey) -> AgentRecord | None:
        item = self._table.get(_key(key))
        return None if item is None else _agent(key, item)

    def list_by_id(self, org: str) -> Sequence[AgentRecord]:
        rows = self._table.below(table_keys.agent(org, ""))
        return [_agent(AgentKey(org, agent_id), item) for agent_id, item in rows]

    def number(
        self,
        key: AgentKey,
        connection: str,
        *,
        seen: float | None = None,
        cursor: int | None = None,
    ) -> int | None:
        """Return the number of the next frame to a connection; None if it is not the agent's.

        Args:
            key: The agent.
            connection: Its WebSocket.
            seen: Also record that the agent has sent a message now.
            cursor: Also record that its summaries are stored up to this number.
        """
        facts: Item = {} if seen is None else {"seen": seen}
        facts = facts if cursor is None else {**facts, "cursor": cursor}
        update = Update(
            _key(key), set=facts, add={"sent": 1}, where=_HIS_LINK, values={":link": connection}
        )
        try:
            return self._table.count(update, "sent")
        except ConflictError:
            return None

    def disconnect(self, key: AgentKey, connection: str, now: float) -> None:
        """Record that a connection has ended; nothing changes if the agent has another one."""
        facts: Item = {"link": "", "seen": now}
        self._table.update_if(
            Update(_key(key), set=facts, where="link = :was", values={":was": connection})
        )

    def forget(self, key: AgentKey) -> bool:
        """Delete an agent and what it reported; return whether there was one."""
        self.clear_summaries(key)
        for pipeline_id in self._followed(key):
            self.remove_followed(key, pipeline_id)
        return self._table.delete_once(_key(key))

    def put_summary(self, key: AgentKey, pipeline_id: str, data: bytes, now: float) -> None:
        """Store the summary of a pipeline, replacing an older one."""
        self._table.put(table_keys.reported(*key, pipeline_id), {"data": data, "seen": now})

    def remove_summary(self, key: AgentKey, pipeline_id: str) -> None:
        """Delete the summary of a pipeline that the agent does not have any more."""
        self._table.delete(table_keys.reported(*key, pipeline_id))

    def clear_summaries(self, key: AgentKey) -> None:
        """Delete the summaries of all pipelines of an agent."""
        rows = self._table.below(table_keys.reported(*key, ""))
        self._table.delete_all([table_keys.reported(*key, pipeline_id) for pipeline_id, _ in rows])

    def summaries(self, org: str) -> Iterator[StoredSummary]:
        """Yield the pipelines of all agents of an organisation."""
        partition = table_keys.reported(org, "", "").partition
        for sort, item in self._table.range(partition, "P#", "P#" + table_keys.LAST):
            _, agent, pipeline_id = sort.split("#", 2)
            data = item["data"]
            if isinstance(data, bytes):
                yield StoredSummary(agent, pipeline_id, data, float(item["seen"]))

    def put_followed(self, key: AgentKey, pipeline_id: str, until: float) -> None:
        """Record that somebody follows a pipeline of an agent."""
        item: Item = {"until": until, "expires": int(until) + 1}
        self._table.put(table_keys.followed(*key, pipeline_id), item)

    def followed(self, key: AgentKey, now: float) -> Sequence[str]:
        """Return the ids of the pipelines of an agent that somebody follows."""
        return [one for one, until in self._followed(key).items() if until > now]

    def _followed(self, key: AgentKey) -> dict[str, float]:
        rows = self._table.below(table_keys.followed(*key, ""))
        return {pipeline_id: float(item["until"]) for pipeline_id, item in rows}

    def remove_followed(self, key: AgentKey, pipeline_id: str) -> None:
        """Record that a pipeline has no followers any more."""
        self._table.delete(table_keys.followed(*key, pipeline_id))

    def put_shell(self, shell: AgentShell, until: float) -> bool:
        """Store an open shell; return False if its connection has one already."""
        item: Item = {**_shell_item(shell), "expires": int(until)}
        if not self._table.put_if(table_keys.connected_shell(shell.connection), item):
            return False
        self._table.put(table_keys.agent_shell(*shell.key, shell.id), item)
        return True

    def shell_of(self, connection: str) -> AgentShell | None:
        """Return the shell of a client's connection."""
        item = self._table.get(table_keys.connected_shell(connection))
        return None if item is None else _shell(item)

    def shell(self, key: AgentKey, shell_id: str) -> AgentShell | None:
        """Return an open shell of an agent."""
        item = self._table.get(table_keys.agent_shell(*key, shell_id))
        return None if item is None else _shell(item)

    def shells(self, key: AgentKey) -> Sequence[AgentShell]:
        """Return the open shells of an agent."""
        rows = self._table.below(table_keys.agent_shell(*key, ""))
        return [_shell(item) for _, item in rows]

    def remove_shell(self, shell: AgentShell) -> bool:
        """Delete a shell; return whether it was open, which is True once only."""
        self._table.delete(table_keys.agent_shell(*shell.key, shell.id))
        return self._table.delete_once(table_keys.connected_shell(shell.connection))


class TableRelays:
    """Relayed requests: those in progress, and the frames of their responses."""

    def __init__(self, table: DynamoTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def reserve(self, key: AgentKey, now: float, until: float) -> int | None:
        """Count a request as in progress until a time; return its slot.

        None: the agent has `conducto_core.remote.model.MAX_CONCURRENT` requests now.
        """
        partition = table_keys.relayed(*key, 0).partition
        taken = {
            int(slot)
            for slot, item in self._table.range(partition, "0", "9")
            if float(item["ends"]) > now
        }
        for slot in range(MAX_CONCURRENT):
            if slot not in taken and self._claim(key, slot, now, until):
                return slot
        return None

    def _claim(self, key: AgentKey, slot: int, now: float, until: float) -> bool:
        item: Item = {"ends": until, "expires": int(until) + FRAME_SECONDS}
        where = f"{NEW} OR ends <= :now"
        return self._table.put_if(table_keys.relayed(*key, slot), item, where, {":now": now})

    def release(self, key: AgentKey, slot: int) -> None:
        """Record that a request is not in progress any more."""
        self._table.delete(table_keys.relayed(*key, slot))

    def put_frame(self, key: AgentKey, request: str, index: int, frame: bytes) -> None:
        """Store one frame of the response to a request."""
        item: Item = {"data": frame, "expires": int(self._clock()) + FRAME_SECONDS}
        self._table.put(table_keys.response_part(*key, request, index), item)

    def frames(self, key: AgentKey, request: str) -> Mapping[int, bytes]:
        """Return the frames of a response that have arrived, by index."""
        partition = table_keys.response_part(*key, request, 0).partition
        rows = self._table.range(partition, "0", table_keys.LAST)
        return {int(index): item["data"] for index, item in rows if isinstance(item["data"], bytes)}


def _key(key: AgentKey) -> table_keys.Key:
    return table_keys.agent(*key)


def _item(agent: AgentRecord) -> Item:
    return {
        "holder": agent.user,
        "host": agent.host,
        "version": agent.version,
        "policy": agent.policy,
        "epoch": agent.epoch,
        "link": agent.connection,
        "linked": agent.linked,
        "seen": agent.seen,
        "cursor": agent.cursor,
        "sent": 1,
    }


def _agent(key: AgentKey, item: Item) -> AgentRecord:
    return AgentRecord(
        key,
        user=str(item["holder"]),
        host=str(item["host"]),
        version=str(item["version"]),
        policy=str(item["policy"]),
        epoch=int(item["epoch"]),
        connection=str(item["link"]),
        linked=float(item["linked"]),
        seen=float(item["seen"]),
        cursor=int(item["cursor"]),
        sent=int(item["sent"]),
    )


def _shell_item(shell: AgentShell) -> Item:
    return {
        "org": shell.key.org,
        "agent": shell.key.id,
        "shell": shell.id,
        "link": shell.connection,
        "holder": shell.user,
        "token": shell.token,
        "pipeline": shell.pipeline,
        "path": shell.path,
    }


def _shell(item: Item) -> AgentShell:
    return AgentShell(
        AgentKey(str(item["org"]), str(item["agent"])),
        id=str(item["shell"]),
        connection=str(item["link"]),
        user=str(item["holder"]),
        token=str(item["token"]),
        pipeline=str(item["pipeline"]),
        path=str(item["path"]),
    )
