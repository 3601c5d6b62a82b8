"""How a browser gets into the web app: a code that is good once becomes the token of a session.

A code and a session hang on the token of who asked for them: they end with it, at the latest.
"""

from collections.abc import Callable
from dataclasses import replace

from chalicelib.domain.tokens import new_token
from chalicelib.ports import Identity, Tokens
from conducto_core.api.problems import ProblemError
from conducto_core.api.routes import Permission
from conducto_core.errors import RefusedError
from conducto_core.model.operations.cloud import SessionEnd, SessionToken
from conducto_core.model.requests import Problem
from conducto_core.model.responses import Login

#: Seconds for which a code is good.
CODE_SECONDS = 60
#: Seconds for which a session is, as on a person's own machine.
SESSION_SECONDS = 30 * 86_400


class BrowserLogin:
    """Sessions of browsers.

    Args:
        tokens: Of all organisations.
        site: Returns where the web app is.
        clock: Seconds since the epoch.
        revoked: Called with the digest of a session's token that ended.
    """

    def __init__(
        self,
        tokens: Tokens,
        site: Callable[[], str],
        clock: Callable[[], float],
        revoked: Callable[[str], None] = lambda _digest: None,
    ) -> None:
        self._tokens = tokens
        self._site = site
        self._clock = clock
        self._revoked = revoked

    def make_login(self, caller: Identity) -> Login:
        """Return a code that lets one browser into the web app, with the rights of the caller.

        It goes into the fragment of an address, which no server and no log gets to see.

        Raises:
            RefusedError: the caller is a session, or this installation has no web app.
        """
        if caller.parent is not None:
            # What runs in a page is to have no more than the page: no token that outlives it.
            raise RefusedError("a browser's session makes no other one; use 'conducto show --app'")
        if not caller.token:
            # What an older version said of the token is remembered so long (`authorizer.TTL`).
            raise RefusedError("this installation was just upgraded; try again in five minutes")
        site = self._site()
        if not site:
            raise RefusedError("this installation has no web app; deploy it again")
        code, digest = new_token()
        may = frozenset({Permission.SIGN_IN.value})
        self._tokens.put(
            digest,
            replace(caller, permissions=may),
            expires=self._clock() + CODE_SECONDS,
            parent=caller.token,
        )
        return Login(url=f"{site}/", code=code, seconds=CODE_SECONDS)

    def start(self, code: Identity) -> SessionToken:
        """Exchange a code for the token of a session.

        Raises:
            ProblemError: the code was used before, or is too old (401).
        """
        owner = None if code.parent is None else self._tokens.find(code.parent)
        # API Gateway lets it in for minutes after it was seen for the first time.
        known = self._tokens.find(code.token) is not None
        if owner is None or not known or not self._tokens.take(code.token):
            raise ProblemError(
                Problem(
                    title="wrong code",
                    status=401,
                    detail="this code was used before, or is older than a minute",
                    remedy="run 'conducto show --app' again",
                )
            )
        token, digest = new_token()
        self._tokens.put(digest, owner, expires=self._clock() + SESSION_SECONDS, parent=code.parent)
        return SessionToken(token=token, seconds=SESSION_SECONDS, org=owner.org, user=owner.user)

    def end(self, caller: Identity) -> SessionEnd:
        """End the session by which the caller came; a token that is none stays as it is."""
        ended = caller.parent is not None and self._tokens.take(caller.token)
        if ended:
            self._revoked(caller.token)
        return SessionEnd(ended=ended)
