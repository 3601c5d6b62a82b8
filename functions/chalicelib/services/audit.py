"""The entries of the audit log: one for each request that did more than read."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from chalicelib.ports.identity import Identity
from chalicelib.ports.people import AuditLog
from conducto_core.model.operations.operation import AnyOperation, Bytes, Permission
from conducto_core.model.operations.people import CREATE_INVITATION
from conducto_core.model.people import ID_LENGTH, MAX_AUDIT_PATHS, AuditEntry

logger = logging.getLogger(__name__)

#: Maximum bytes of a body that is searched for paths.
_MAX_BODY = 256 << 10
#: Maximum length of a stored path.
_MAX_PATH = 300
_MACHINES = (Permission.WORKER, Permission.CHILDREN)
#: Parameters of a path or query that name the subject of a request.
_SUBJECTS = ("id", "user", "org", "name")


def is_audited(operation: AnyOperation) -> bool:
    """Return whether requests for an operation are in the audit log."""
    if operation.permission in _MACHINES:
        return False
    return operation.permission is not Permission.READ or not operation.safe


def entry_of(
    operation: AnyOperation,
    caller: Identity,
    params: Mapping[str, str],
    body: object,
    *,
    status: int,
    answer: bytes,
    request_id: str,
    time: float,
    agent: str | None = None,
) -> AuditEntry:
    """Return the entry of a request; only paths of nodes are taken from its body.

    The subject of a request to an agent starts with its address: ``a/AGENT/PIPELINE``.
    """
    subject = _subject(operation, caller, params, answer if status == HTTPStatus.OK else b"")
    if agent is not None:
        subject = f"a/{agent}/{subject}"
    return AuditEntry(
        time=time,
        user=caller.user,
        token=caller.token[:ID_LENGTH],
        operation=operation.name,
        subject=subject[:_MAX_PATH],
        paths=_paths(operation, params, body),
        status=status,
        request=request_id,
    )


def _subject(
    operation: AnyOperation, caller: Identity, params: Mapping[str, str], answer: bytes
) -> str:
    if caller.run is not None:
        return caller.run.subject
    if operation.name == CREATE_INVITATION.name and answer:
        return str(json.loads(answer)["invitation"]["id"])
    return next((params[name] for name in _SUBJECTS if name in params), "")


def record(log: AuditLog, org: str, entry: AuditEntry) -> None:
    """Store an entry; an error is logged with the entry, and does not change the response."""
    try:
        log.add(org, entry)
    except Exception:
        logger.exception("a request was not audited: %s", entry.model_dump_json())


def _paths(operation: AnyOperation, params: Mapping[str, str], body: object) -> tuple[str, ...]:
    found: list[Any] = [params["path"]] if "path" in params else []
    if operation.body not in (None, Bytes) and not operation.private:
        found += _paths_in(body)
    texts = [path[:_MAX_PATH] for path in found if isinstance(path, str) and path[:1] == "/"]
    return tuple(texts[:MAX_AUDIT_PATHS])


def _paths_in(body: object) -> list[Any]:
    if not isinstance(body, bytes) or len(body) > _MAX_BODY:
        return []
    try:
        document = json.loads(body)
    except ValueError:
        return []
    if not isinstance(document, dict):
        return []
    several = document.get("paths")
    return [document.get("path"), *(several if isinstance(several, list) else [])]
