"""Followers of an agent's pipelines: the cloud requests the changes once, and passes them on."""

import logging
from collections.abc import Callable

from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.records import Records
from chalicelib.remote.model import AgentKey, AgentRecord
from conducto_core.api.operation import LinkClass
from conducto_core.remote.model import Batch, Caller, Follow, LinkPolicy

logger = logging.getLogger(__name__)

#: Seconds for which a pipeline counts as followed after its last follower has come: API Gateway
#: closes its connection after two hours.
FOLLOWED_SECONDS = 3 * 3600.0


def topic(key: AgentKey, pipeline_id: str) -> str:
    """Return the name under which connections follow a pipeline of an agent."""
    return f"agent/{key.org}/{key.id}/{pipeline_id}"


def follow(  # noqa: PLR0917  the parts of a subscription
    records: Records,
    connections: TableConnections,
    clock: Callable[[], float],
    agent: AgentRecord,
    connection: str,
    user: str,
    pipeline_id: str,
    cursor: int,
) -> None:
    """Let a connection follow a pipeline of an agent, from a cursor on.

    An agent that is offline sends the changes once it is connected again.
    """
    key = agent.key
    connections.put(connection, key.org, topic(key, pipeline_id), cursor)
    records.agents.put_followed(key, pipeline_id, clock() + FOLLOWED_SECONDS)
    if agent.connection:
        _request(records, connections, key, agent.connection, user, pipeline_id, cursor)


def repeat(
    records: Records,
    connections: TableConnections,
    clock: Callable[[], float],
    key: AgentKey,
    connection: str,
) -> None:
    """Request the changes of all followed pipelines over a new connection of their agent."""
    agent = records.agents.find(key)
    for pipeline_id in records.agents.followed(key, clock()):
        known = connections.followers(topic(key, pipeline_id))
        found = [(_user_of(records, connections, agent, name), cursor) for name, cursor in known]
        users = [(user, cursor) for user, cursor in found if user is not None]
        if users:
            cursor = min(cursor for _, cursor in users)
            _request(records, connections, key, connection, users[0][0], pipeline_id, cursor)
        else:
            records.agents.remove_followed(key, pipeline_id)


def push(
    records: Records, connections: TableConnections, key: AgentKey, link: str, frame: Batch
) -> None:
    """Send changes to all followers; if there are none, let the agent stop sending them.

    Args:
        key: The agent.
        link: Its connection.
        frame: The changes.
    """
    agent = records.agents.find(key)
    known = connections.followers(topic(key, frame.pipeline))
    for connection, cursor in known:
        try:
            user = _user_of(records, connections, agent, connection)
            if user is None:
                continue
            if _is_behind(frame, cursor):
                _request(records, connections, key, link, user, frame.pipeline, cursor)
            else:
                _pass_on(connections, key, frame, connection, cursor)
        except Exception:
            # The next batch shows that it is behind; other followers must not wait.
            logger.exception("changes were not sent to a follower", extra={"agent": key.id})
    if not known:
        _stop(records, connections, key, link, frame.pipeline)


def may_follow(agent: AgentRecord, user: str) -> bool:
    """Return whether the policy of an agent lets a member see its pipelines."""
    policy = LinkPolicy.model_validate_json(agent.policy)
    return LinkClass.READ in policy.allow and (policy.who == "org" or user == agent.user)


def _user_of(
    records: Records, connections: TableConnections, agent: AgentRecord | None, connection: str
) -> str | None:
    """Return the user of a follower; close one who may not see the agent's pipelines any more."""
    followers = Followers(connections, records.tokens)
    identity = followers.identity_of(connection)
    if identity is not None and agent is not None and identity.org == agent.key.org:
        user = identity.user
        if may_follow(agent, user):
            return user
    followers.close(connection)
    return None


def _is_behind(frame: Batch, cursor: int) -> bool:
    changes = frame.batch.changes
    return bool(changes) and changes[0].seq > cursor + 1


def _pass_on(
    connections: TableConnections, key: AgentKey, frame: Batch, connection: str, cursor: int
) -> None:
    """Send a batch to one follower, unless it has all changes."""
    changes = frame.batch.changes
    if changes and changes[-1].seq <= cursor:
        return
    if not connections.send(connection, frame.batch.model_dump_json().encode()):
        connections.delete(connection)
    elif changes:
        name = topic(key, frame.pipeline)
        connections.put(connection, key.org, name, changes[-1].seq)


def _stop(
    records: Records, connections: TableConnections, key: AgentKey, link: str, pipeline_id: str
) -> None:
    records.agents.remove_followed(key, pipeline_id)
    agent = records.agents.find(key)
    number = records.agents.number(key, link)
    if agent is not None and number is not None:
        caller = Caller(user=agent.user)
        frame = Follow(n=number, caller=caller, pipeline=pipeline_id, stop=True)
        connections.send(link, frame.model_dump_json().encode())


def _request(  # noqa: PLR0917  the parts of a frame
    records: Records,
    connections: TableConnections,
    key: AgentKey,
    connection: str,
    user: str,
    pipeline_id: str,
    cursor: int,
) -> None:
    number = records.agents.number(key, connection)
    if number is not None:
        frame = Follow(n=number, caller=Caller(user=user), pipeline=pipeline_id, cursor=cursor)
        connections.send(connection, frame.model_dump_json().encode())
