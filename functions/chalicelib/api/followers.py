"""Authorization of WebSocket followers: tokens expire and are revoked."""

import logging

from chalicelib.api.store import TableConnections
from chalicelib.people.port import Identity
from chalicelib.people.store.members import TableTokens
from conducto_core.api.operation import Permission

logger = logging.getLogger(__name__)


class Followers:
    """Finds and closes connections whose tokens are no longer valid."""

    def __init__(self, connections: TableConnections, tokens: TableTokens) -> None:
        self._connections = connections
        self._tokens = tokens

    def identity_of(self, connection: str) -> Identity | None:
        """Return a connection's identity, or None if it may no longer read pipelines."""
        token = self._connections.token_of(connection)
        return None if token is None else self._reader(token)

    def close_of(self, *tokens: str) -> None:
        """Close the connections of revoked tokens and of their sessions."""
        for connection, own, parent in self._connections.opened_by():
            if own in tokens or parent in tokens:
                self.close(connection)

    def revoke(self, *tokens: str) -> int:
        """Revoke tokens and close their connections; return the number that were valid."""
        revoked = sum(self._tokens.revoke_once(token) for token in tokens)
        self.close_of(*tokens)
        return revoked

    def close_expired(self) -> None:
        """Close the connections whose tokens have expired or were revoked.

        Those of agents are checked when they send a message, at least every few minutes.
        """
        good: dict[str, bool] = {}
        for connection, token, _ in self._connections.opened_by(agents=False):
            if token not in good:
                good[token] = self._is_good(token)
            if not good[token]:
                self.close(connection)

    def close(self, connection: str) -> None:
        """Close a connection; an error is logged, and the next run retries."""
        try:
            self._connections.close(connection)
        except Exception:
            # One failure must not affect other connections.
            logger.exception("a connection was not closed")

    def _is_good(self, token: str) -> bool:
        identity = self._tokens.find(token)
        return identity is not None and (may_read(identity) or may_link(identity))

    def _reader(self, token: str) -> Identity | None:
        identity = self._tokens.find(token)
        return identity if identity is not None and may_read(identity) else None


def may_read(identity: Identity) -> bool:
    """Return whether an identity may follow the pipelines of its organisation."""
    return Permission.READ in identity.permissions and identity.worker is None


def may_link(identity: Identity) -> bool:
    return Permission.AGENT in identity.permissions and identity.worker is None
