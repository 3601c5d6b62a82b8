"""The API's operations on secrets, executed on a store. Each may block."""

import time
from collections.abc import Callable, Iterable, Sequence

from conducto_core.command.masking import MIN_CHARACTERS, can_be_masked
from conducto_core.errors import RefusedError
from conducto_core.secrets.model import DeleteSecrets, PutSecrets, SecretInfo, SecretKey, SecretList
from conducto_core.secrets.port import SecretName, SecretRefusedError, SecretStore, StoredSecret
from conducto_core.secrets.rules import parse_reference


def listing(store: SecretStore) -> SecretList:
    """Return all secrets, without values.

    Raises:
        SecretStoreError: they cannot be read.
    """
    return _respond(store)


def put(
    store: SecretStore, request: PutSecrets, allowed: Callable[[str, str], object] | None = None
) -> SecretList:
    """Store secrets.

    Args:
        store: The store.
        request: The secrets.
        allowed: Raises `SecretRefusedError` unless a secret may be a reference; None: on a machine
            any may.

    Raises:
        RefusedError: a secret is not allowed; none is stored.
        SecretStoreError: they cannot be written.
    """
    now = time.time()
    new = [
        StoredSecret(_name(s), s.value.get_secret_value(), s.mask, now, s.reference)
        for s in request.secrets
    ]
    try:
        for secret in new:
            if secret.reference is not None:
                _check_reference(secret, allowed)
        store.put(new)
    except SecretRefusedError as error:
        raise RefusedError(str(error)) from error
    return _respond(
        store, changed=map(_name, request.secrets), notes=notes_on(new, local=allowed is None)
    )


def _check_reference(secret: StoredSecret, allowed: Callable[[str, str], object] | None) -> None:
    """Check a secret by reference; raises `SecretRefusedError`."""
    key, text = secret.name.variable, secret.reference or ""
    if secret.value:
        raise SecretRefusedError(f"{key}: give a value or a reference, not both")
    if allowed is not None:
        allowed(key, text)
        return
    try:
        parse_reference(text)
    except ValueError as error:
        raise SecretRefusedError(f"{key}: {error}") from error


def delete(store: SecretStore, request: DeleteSecrets) -> SecretList:
    """Delete secrets; missing ones are ignored.

    Raises:
        SecretStoreError: they cannot be written.
    """
    return _respond(store, changed=store.delete(map(_name, request.keys)))


def notes_on(secrets: Sequence[StoredSecret], *, local: bool = True) -> list[str]:
    notes = [
        f"{secret.name.variable} is shorter than {MIN_CHARACTERS} characters: it is not masked in "
        "what commands print"
        for secret in secrets
        if secret.mask and secret.reference is None and not can_be_masked(secret.value)
    ]
    if local and any(secret.name.scope == "org" for secret in secrets):
        notes.append(
            "secrets of the organisation are kept on this machine only, for your pipelines"
        )
    return notes


def _name(key: SecretKey) -> SecretName:
    return SecretName(key.scope, f"{key.secret_set}/{key.key}" if key.secret_set else key.key)


def _key(name: SecretName) -> SecretKey:
    return SecretKey(scope=name.scope, key=name.variable, secret_set=name.secret_set)


def _respond(
    store: SecretStore, changed: Iterable[SecretName] = (), notes: Iterable[str] = ()
) -> SecretList:
    known = store.read()
    return SecretList(
        secrets=tuple(_info(known[name]) for name in sorted(known)),
        changed=tuple(map(_key, dict.fromkeys(changed))),
        notes=tuple(notes),
        kept=store.location() if known else "",
    )


def _info(secret: StoredSecret) -> SecretInfo:
    return SecretInfo(
        scope=secret.name.scope,
        key=secret.name.variable,
        secret_set=secret.name.secret_set,
        mask=secret.mask,
        masked=secret.mask and (secret.reference is not None or can_be_masked(secret.value)),
        updated=secret.updated,
        reference=secret.reference,
    )
