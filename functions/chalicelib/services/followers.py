"""Who may follow pipelines over a WebSocket now: tokens expire, and are revoked."""

import logging

from chalicelib.ports import Connections, Identity, Tokens
from conducto_core.api.routes import Permission

logger = logging.getLogger(__name__)


class Followers:
    """Finds, and closes, connections whose token is good no more.

    Args:
        connections: All of them.
        tokens: All of them.
    """

    def __init__(self, connections: Connections, tokens: Tokens) -> None:
        self._connections = connections
        self._tokens = tokens

    def identity_of(self, connection: str) -> Identity | None:
        """Return whose a connection is now; None: nobody's who may read."""
        token = self._connections.token_of(connection)
        return None if token is None else self._reader(token)

    def close_of(self, token: str) -> None:
        """Close the connections of a token that was revoked, and of the sessions made from it."""
        for connection, own, parent in self._connections.opened_by():
            if token in (own, parent):
                self._close(connection)

    def close_expired(self) -> None:
        """Close the connections whose token is good no more, whatever ended it."""
        good: dict[str, bool] = {}
        for connection, token, _ in self._connections.opened_by():
            if token not in good:
                good[token] = self._reader(token) is not None
            if not good[token]:
                self._close(connection)

    def _reader(self, token: str) -> Identity | None:
        identity = self._tokens.find(token)
        return identity if identity is not None and may_read(identity) else None

    def _close(self, connection: str) -> None:
        try:
            self._connections.close(connection)
        except Exception:
            # The others must not stay open because of it; the minute rule tries again.
            logger.exception("a connection was not closed")


def may_read(identity: Identity) -> bool:
    """Return whether somebody may follow the pipelines of their organisation."""
    return Permission.READ in identity.permissions and identity.worker is None
