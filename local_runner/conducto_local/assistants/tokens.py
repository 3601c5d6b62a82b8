"""The tokens of assistants at the agent: a file with their digests, for the owner only.

A program of this user can read the owner's own token, so here scopes limit mistakes, not malice.
"""

import getpass
import json
import logging
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from conducto_core.api.operation import AnyOperation
from conducto_core.api.serve import serves
from conducto_core.approvals.rules import Decider
from conducto_core.assistants.handlers import check_pace, check_scopes
from conducto_core.assistants.model import AN_ASSISTANT
from conducto_core.assistants.rules.authority import ordered, permissions_of_scopes
from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.people import operations
from conducto_core.people.model import (
    ID_LENGTH,
    CreatedToken,
    MemberToken,
    MemberTokenList,
    NewToken,
    TokenListParams,
    TokenParams,
    TokensRevoked,
)
from conducto_local.approvals.handlers import DECIDER

logger = logging.getLogger(__name__)

#: Prefix of every token, so that secret scanners recognise leaked ones.
PREFIX = "cdo_"
#: Maximum number of tokens; the oldest end first.
MAX_TOKENS = 100
_DAY = 86_400.0
_MINUTE = 60
_FILE: TypeAdapter[dict[str, MemberToken]] = TypeAdapter(dict[str, MemberToken])


class LocalTokens:
    """Creates, lists, revokes and checks tokens.

    Args:
        file: The file; None keeps them in memory.
        clock: Returns seconds since the epoch.

    Attributes:
        key: Signs the tokens of dry runs and the names of clients; another one in each process.
    """

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.key = secrets.token_bytes(32)
        self._file = file
        self._clock = clock
        self._known = self._read()
        self._requests: Counter[tuple[str, int]] = Counter()

    @serves(operations.CREATE_TOKEN)
    async def create_token(self, request: NewToken) -> CreatedToken:
        """Create a token of an assistant; raises `RefusedError` for one of another kind."""
        if not request.scopes:
            raise RefusedError(
                "an agent has tokens of assistants only; name scopes: conducto tokens create "
                f"{request.name} --local --assistant --allow read"
            )
        scopes, now = ordered(request.scopes), self._clock()
        token = PREFIX + secrets.token_urlsafe(32)
        digest = _digest(token)
        info = MemberToken(
            id=digest[:ID_LENGTH],
            user=getpass.getuser(),
            name=request.name,
            kind="assistant",
            permissions=tuple(sorted(permissions_of_scopes(scopes))),
            created=now,
            expires=now + request.days * _DAY,
            current=False,
            scopes=scopes,
        )
        self._known = dict([*self._valid().items(), (digest, info)][-MAX_TOKENS:])
        self._write()
        return CreatedToken(token=token, info=info)

    @serves(operations.LIST_TOKENS)
    async def list_tokens(self, _params: TokenListParams) -> MemberTokenList:
        """List the tokens, the newest first."""
        return MemberTokenList(tokens=tuple(reversed(self._valid().values())))

    @serves(operations.REVOKE_TOKEN)
    async def revoke_token(self, params: TokenParams) -> TokensRevoked:
        """Revoke a token; raises `NotFoundError`."""
        found = [digest for digest in self._valid() if digest.startswith(params.id)]
        if not found:
            raise NotFoundError(f"this agent has no token {params.id}")
        for digest in found:
            del self._known[digest]
        self._write()
        return TokensRevoked(revoked=len(found))

    def find(self, token: str) -> MemberToken | None:
        """Return a token that is valid now, or None."""
        return self._valid().get(_digest(token)) if token.startswith(PREFIX) else None

    def admit(
        self, assistant: MemberToken, operation: AnyOperation, body: bytes, client: str
    ) -> None:
        """Check and log a request of an assistant, which counts as a program from here on.

        Raises:
            ProblemError: 403, its scopes do not allow the request; 429, there are too many.
        """
        fields = {"assistant": assistant.name, "client": client, "operation": operation.name}
        logger.info("request of an assistant", extra=fields)
        check_scopes(assistant.scopes, operation, body)
        minute = int(self._clock() // _MINUTE)
        if not any(key[1] == minute for key in self._requests):
            self._requests.clear()
        self._requests[assistant.id, minute] += 1
        check_pace(self._requests[assistant.id, minute])
        DECIDER.set(Decider(assistant.user, None, client or AN_ASSISTANT))

    def _valid(self) -> dict[str, MemberToken]:
        now = self._clock()
        return {
            digest: token
            for digest, token in self._known.items()
            if token.expires is not None and now < token.expires
        }

    def _read(self) -> dict[str, MemberToken]:
        try:
            return {} if self._file is None else _FILE.validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return {}

    def _write(self) -> None:
        if self._file is None:
            return
        part = self._file.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(_FILE.dump_python(self._known, mode="json"), file)
        part.replace(self._file)


def _digest(token: str) -> str:
    return sha256(token.encode(errors="replace")).hexdigest()
