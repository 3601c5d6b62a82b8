"""Debug shells on the machines of linked agents, between a client's WebSocket and the agent's.

Nothing is kept in memory, and no message is trusted: the token, the role and the machine's policy
are read again for each one. `conducto_core.debug.terminal` has the client's messages,
`conducto_core.remote.model` those of the agent.
"""

import logging
from collections.abc import Callable, Collection
from secrets import token_hex

from chalicelib.api.callers import needed_permissions
from chalicelib.api.followers import Followers
from chalicelib.api.store import TableConnections
from chalicelib.people import audit
from chalicelib.people.port import Identity
from chalicelib.records import Records
from chalicelib.remote.model import AgentKey, AgentRecord, AgentShell
from conducto_core.api.operation import Permission
from conducto_core.debug.operations import SHELL
from conducto_core.debug.terminal import (
    OpenRelayedShell,
    RelayedShellFrame,
    RelayedShellInput,
    ShellEnd,
    read_text,
)
from conducto_core.people.model import ID_LENGTH, AuditEntry
from conducto_core.remote.model import Caller, LinkPolicy, ShellInput, ShellOutput
from conducto_core.remote.rules import LinkRequest, refusal_of

logger = logging.getLogger(__name__)

#: Operation of the audit entry for the end of a shell; its start has the name of `SHELL`.
ENDED = "shell_ended"
#: Seconds for which an open shell is known: API Gateway closes its client after two hours.
SHELL_SECONDS = 3 * 3600.0
_OK = 200
_FORBIDDEN = 403
_CONFLICT = 409
_UNAVAILABLE = 503
_OFFLINE = "the machine is offline"
_OPEN_TWICE = "a connection has one shell only"


class _EndError(Exception):
    """A shell cannot be opened or has to end; the message is the reason."""


class AgentShells:
    """The shells of all agents."""

    def __init__(
        self, records: Records, connections: TableConnections, clock: Callable[[], float]
    ) -> None:
        self._records = records
        self._connections = connections
        self._clock = clock
        self._followers = Followers(connections, records.tokens)

    # ---- messages of clients -----------------------------------------------------------------

    def receive(self, connection: str, text: str) -> None:
        """Handle a message of a client."""
        identity = self._followers.identity_of(connection)
        if identity is None:
            self.disconnected(connection)
            self._followers.close(connection)
            return
        try:
            message = read_text(text)
        except ValueError as error:
            self._end(connection, f"the message is not valid: {error}"[:500])
            return
        try:
            if isinstance(message, OpenRelayedShell):
                self._open(connection, identity, message)
            else:
                self._pass_on(connection, identity, message)
        except _EndError as error:
            self._end(connection, str(error))

    def disconnected(self, connection: str) -> None:
        """End the shell of a client's connection that was closed, if it has one."""
        shell = self._records.agents.shell_of(connection)
        if shell is not None:
            self._finish(shell)

    def _open(self, connection: str, identity: Identity, message: OpenRelayedShell) -> None:
        key = AgentKey(identity.org, message.agent)
        shell = AgentShell(
            key,
            id=token_hex(12),
            connection=connection,
            user=identity.user,
            token=identity.token,
            pipeline=message.pipeline,
            path=message.path,
        )
        try:
            agent = self._allowed(key, identity)
        except _EndError:
            self._audit(shell, SHELL.name, _FORBIDDEN)
            raise
        entry = self._records.audit.add(key.org, _entry(shell, SHELL.name, self._clock()))
        status = self._start(shell, agent, message)
        audit.end(self._records.audit, key.org, entry, status)
        if status != _OK:
            raise _EndError(_OPEN_TWICE if status == _CONFLICT else _OFFLINE)
        self._send_client(connection, RelayedShellFrame(terminal="opened"))

    def _start(self, shell: AgentShell, agent: AgentRecord, message: OpenRelayedShell) -> int:
        """Open a shell on its machine, and return the status for the audit log."""
        if not self._records.agents.put_shell(shell, self._clock() + SHELL_SECONDS):
            return _CONFLICT
        first = self._input(shell, 0).model_copy(update={"open": message.params})
        return _OK if self._send_agent(agent, first) else _UNAVAILABLE

    def _pass_on(self, connection: str, identity: Identity, message: RelayedShellInput) -> None:
        shell = self._records.agents.shell_of(connection)
        if shell is None or not _is_of(shell, identity):
            raise _EndError("the shell is not open")
        agent = self._allowed(shell.key, identity)
        # A message that keeps the connection open has no content, but the agent waits for its seq.
        typed = {"b64": message.b64, "note": message.note}
        frame = self._input(shell, message.seq).model_copy(update=typed)
        if not self._send_agent(agent, frame):
            raise _EndError(_OFFLINE)
        self._send_client(connection, RelayedShellFrame(terminal="acked", seq=message.seq))

    def _allowed(self, key: AgentKey, identity: Identity) -> AgentRecord:
        """Return the agent if its policy and the caller's role allow shells.

        Raises:
            _EndError: They do not, or there is no such agent.
        """
        lacking = needed_permissions(Permission.DEBUG) - identity.permissions
        if lacking:
            raise _EndError(f"your role or token lacks: {', '.join(sorted(lacking))}")
        agent = self._records.agents.find(key)
        if agent is None:
            raise _EndError(f"{key.org} has no linked agent {key.id!r}")
        why = refusal(agent, identity.user)
        if why is not None:
            raise _EndError(why)
        return agent

    def _end(self, connection: str, reason: str) -> None:
        """End a client's connection, with its shell if it has one."""
        self._say_end(connection, ShellEnd(reason=reason))
        shell = self._records.agents.shell_of(connection)
        if shell is not None:
            self._finish(shell)

    # ---- frames of agents --------------------------------------------------------------------

    def output(self, key: AgentKey, frame: ShellOutput) -> None:
        """Pass output on to the client of its shell."""
        shell = self._records.agents.shell(key, frame.id)
        if shell is None:
            self._close_on_agent(key, frame.id, self._owner(key))
            return
        try:
            self._check_reader(shell)
        except _EndError as error:
            self._end(shell.connection, str(error))
            return
        if frame.b64:
            output = RelayedShellFrame(terminal="output", seq=frame.seq, b64=frame.b64)
            if not self._send_client(shell.connection, output):
                self._finish(shell)
                return
        if frame.end is not None:
            self._say_end(shell.connection, frame.end)
            self._finish(shell, tell_agent=False)

    def _check_reader(self, shell: AgentShell) -> None:
        """Check that a shell's client may still see its output; raises `_EndError`."""
        identity = self._followers.identity_of(shell.connection)
        if identity is None or not _is_of(shell, identity):
            raise _EndError("the session has ended")
        self._allowed(shell.key, identity)

    def end_all(self, key: AgentKey, reason: str, *, keep: Collection[str] = ()) -> None:
        """End the shells of an agent that has disconnected, or does not allow them any more.

        Args:
            key: The agent.
            reason: Shown to their users.
            keep: Ids of shells that stay open, as long as the agent's policy allows them.
        """
        agent = self._records.agents.find(key)
        for shell in self._records.agents.shells(key):
            why = None if agent is None else refusal(agent, shell.user)
            if shell.id in keep and why is None:
                continue
            try:
                self._end(shell.connection, reason if why is None else why)
            except Exception:  # others must end, too
                logger.exception("a shell was not ended", extra={"agent": key.id})

    # ---- both --------------------------------------------------------------------------------

    def _finish(self, shell: AgentShell, *, tell_agent: bool = True) -> None:
        """Forget a shell, and note its end once."""
        if not self._records.agents.remove_shell(shell):
            return
        self._audit(shell, ENDED, _OK)
        if tell_agent:
            self._close_on_agent(shell.key, shell.id, shell.user)

    def _close_on_agent(self, key: AgentKey, shell_id: str, user: str) -> None:
        agent = self._records.agents.find(key)
        if agent is None or not agent.connection:
            return
        frame = ShellInput(n=1, id=shell_id, seq=0, caller=Caller(user=user or "-"), close=True)
        try:
            self._send_agent(agent, frame)
        except Exception:  # it ends when the agent's next output is not for anybody
            logger.exception("an agent did not receive the end of a shell", extra={"agent": key.id})

    def _owner(self, key: AgentKey) -> str:
        agent = self._records.agents.find(key)
        return "" if agent is None else agent.user

    def _input(self, shell: AgentShell, seq: int) -> ShellInput:
        return ShellInput(n=1, id=shell.id, seq=seq, caller=Caller(user=shell.user))

    def _send_agent(self, agent: AgentRecord, frame: ShellInput) -> bool:
        """Send a frame to an agent, with the next number; return False if it is offline."""
        number = self._records.agents.number(agent.key, agent.connection)
        if number is None:  # it has connected again since
            agent = self._records.agents.find(agent.key) or agent
            number = self._records.agents.number(agent.key, agent.connection)
        if number is None or not agent.connection:
            return False
        data = frame.model_copy(update={"n": number}).model_dump_json().encode()
        return self._connections.send(agent.connection, data)

    def _send_client(self, connection: str, frame: RelayedShellFrame) -> bool:
        return self._connections.send(connection, frame.model_dump_json().encode())

    def _say_end(self, connection: str, end: ShellEnd) -> None:
        """Send the last message; the client closes the connection."""
        try:
            self._send_client(connection, RelayedShellFrame(terminal="ended", end=end))
        except Exception:  # a client that cannot be reached has ended
            logger.exception("a client did not receive the end of its shell")

    def _audit(self, shell: AgentShell, operation: str, status: int) -> None:
        entry = _entry(shell, operation, self._clock())
        ended = entry.model_copy(update={"status": status})
        audit.record(self._records.audit, shell.key.org, ended)


def _entry(shell: AgentShell, operation: str, time: float) -> AuditEntry:
    return AuditEntry(
        time=time,
        user=shell.user,
        token=shell.token[:ID_LENGTH],
        operation=operation,
        subject=f"a/{shell.key.id}/{shell.pipeline}",
        paths=(shell.path[:300],),
        request=shell.id,
    )


def _is_of(shell: AgentShell, identity: Identity) -> bool:
    """Return whether a connection still belongs to the person who opened its shell."""
    return (identity.org, identity.user) == (shell.key.org, shell.user)


def refusal(agent: AgentRecord, user: str) -> str | None:
    """Return why the policy of an agent allows no shell to a user, or None."""
    policy = LinkPolicy.model_validate_json(agent.policy)
    found = refusal_of(policy, agent.user, LinkRequest(SHELL, Caller(user=user)))
    return None if found is None else f"{found.detail}; {found.remedy}"
