"""Browser login: a one-time code is exchanged for a session token.

Codes and sessions are children of the caller's token and expire with it at the latest.
"""

from collections.abc import Callable
from dataclasses import replace

from chalicelib.domain.tokens import CODE_SECONDS, SESSION_SECONDS, new_token
from chalicelib.ports.identity import Identity, Tokens
from chalicelib.services.sign_in import check_codes
from conducto_core.api.problems import ProblemError
from conducto_core.errors import RefusedError
from conducto_core.model.operations.operation import Permission
from conducto_core.model.requests import Problem
from conducto_core.model.responses import Login
from conducto_core.model.sign_in import SessionEnd, SessionToken
from conducto_core.semantics.roles import INHERITED


class BrowserLogin:
    """Browser sessions.

    Args:
        tokens: The tokens of all organisations.
        site: Returns the address of the web app, or "".
        clock: Seconds since the epoch.
        revoked: Called with the token digest of each session that ended.
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
        """Return a one-time code that starts a browser session with the caller's permissions.

        The code goes into the fragment of a URL, which is never sent to a server or logged.

        Raises:
            RefusedError: The caller is a session or the token of a program, or this installation
                has no web app.
            ProblemError: 429, the caller got too many codes in this minute.
        """
        if caller.kind == "session":
            # A script in the page must not obtain a token that outlives the session.
            raise RefusedError(
                "a browser session cannot create another session; run 'conducto show --app'"
            )
        if caller.kind == "token":
            raise RefusedError(
                "a token that was created for a program cannot start a browser session; run "
                "'conducto login' first"
            )
        site = self._site()
        if not site:
            raise RefusedError("this installation has no web app; deploy it with 'conducto deploy'")
        check_codes(self._tokens, caller.token)
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
        """Exchange a code for a session token; a used or expired code is a `ProblemError` (401)."""
        owner = None if code.parent is None else self._tokens.find(code.parent)
        # API Gateway caches the code's authorization for minutes after its first use.
        known = self._tokens.find(code.token) is not None
        is_browsers = code.challenge == ""  # the command line's codes need a verifier
        if owner is None or not is_browsers or not known or not self._tokens.take(code.token):
            raise ProblemError(
                Problem(
                    title="wrong code",
                    status=401,
                    detail="this code was used before, or is older than a minute",
                    remedy="run 'conducto show --app' again",
                )
            )
        token, digest = new_token()
        session = replace(owner, permissions=INHERITED)
        end = self._clock() + SESSION_SECONDS
        self._tokens.put(digest, session, expires=end, parent=code.parent, kind="session")
        return SessionToken(token=token, seconds=SESSION_SECONDS, org=owner.org, user=owner.user)

    def end(self, caller: Identity) -> SessionEnd:
        """End the caller's session; tokens that are not sessions stay valid."""
        ended = caller.kind == "session" and self._tokens.take(caller.token)
        if ended:
            self._revoked(caller.token)
        return SessionEnd(ended=ended)
