"""The operations on secrets."""

from conducto_core.api.operation import LinkClass, Permission, read, send
from conducto_core.run.model import params as p
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretList

#: A megabyte of values, each byte up to six in JSON, and names.
MAX_SECRETS_BODY = 8 << 20

SECRETS = read(
    "list_secrets",
    "/secrets",
    p.NoParams,
    SecretList,
    "List all secrets, without values.",
    link_class=LinkClass.SECRETS,
    permission=Permission.SECRETS,
)
PUT_SECRETS = send(
    "put_secrets",
    "POST /secrets",
    p.NoParams,
    PutSecrets,
    SecretList,
    Permission.SECRETS,
    "Store secrets.",
    link_class=LinkClass.SECRETS,
    max_body=MAX_SECRETS_BODY,
    private=True,
)
DELETE_SECRETS = send(
    "delete_secrets",
    "POST /secrets/delete",
    p.NoParams,
    DeleteSecrets,
    SecretList,
    Permission.SECRETS,
    "Delete secrets.",
    link_class=LinkClass.SECRETS,
)
