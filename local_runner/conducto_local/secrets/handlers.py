"""Operations on the secrets of this machine."""

import asyncio

from conducto_core.api.serve import serves
from conducto_core.errors import RefusedError
from conducto_core.secrets import handlers as secret_queries
from conducto_core.secrets import operations
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretList
from conducto_local.approvals.handlers import DECIDER
from conducto_local.run.access import LocalAccess


class LocalSecretHandlers(LocalAccess):
    """The secrets of the user."""

    @serves(operations.SECRETS)
    async def list_secrets(self) -> SecretList:
        """Return every secret, without values."""
        return await asyncio.to_thread(secret_queries.listing, self._scheduler.secrets.store)

    @serves(operations.PUT_SECRETS)
    async def put_secrets(self, request: PutSecrets) -> SecretList:
        """Store secrets; commands that start from now on receive them.

        Raises:
            RefusedError: A request through the link has a reference: the programs that read it
                have the rights of this machine's user.
        """
        if DECIDER.get() is not None and any(one.reference for one in request.secrets):
            raise RefusedError(
                "secrets by reference are set on the machine itself, because its programs read "
                "them as its user; run there: conducto secrets set NAME --from REFERENCE"
            )
        return await asyncio.to_thread(secret_queries.put, self._scheduler.secrets.store, request)

    @serves(operations.DELETE_SECRETS)
    async def delete_secrets(self, request: DeleteSecrets) -> SecretList:
        """Delete secrets; commands that start from now on do not receive them."""
        return await asyncio.to_thread(
            secret_queries.delete, self._scheduler.secrets.store, request
        )
