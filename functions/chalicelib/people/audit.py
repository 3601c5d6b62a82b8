"""The entries of the audit log: one for each request that did more than read.

An entry is stored before the effect of its request, and gets the status of the response after it.
An entry without a status belongs to a request that was interrupted, or that has not ended.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json

from chalicelib.people.port import Identity
from chalicelib.people.store.members import TableAuditLog
from conducto_core.api.operation import AnyOperation, Permission
from conducto_core.people.model import ID_LENGTH, MAX_AUDIT_PATHS, AuditEntry
from conducto_core.people.operations import CREATE_INVITATION

logger = logging.getLogger(__name__)

#: Maximum length of a stored path.
_MAX_PATH = 300
_MACHINES = (Permission.START_WORKER, Permission.WORKER, Permission.CHILDREN)
#: Parameters of a path or query that name the subject of a request.
_SUBJECTS = ("id", "user", "org", "name")
#: Fields of a body that have the paths of nodes.
_PATHS = frozenset({"path", "paths"})


def is_audited(operation: AnyOperation, caller: Identity | None = None) -> bool:
    """Return whether requests for an operation are in the audit log; all of an assistant are."""
    if operation.permission in _MACHINES:
        return False
    if caller is not None and caller.kind == "assistant":
        return True
    return operation.permission is not Permission.READ or not operation.safe


@dataclass
class RequestAudit:
    """The entry of one request.

    Attributes:
        params: Path parameters, and ``path`` of the query.
        request: The id of the request.
        agent: The linked agent that the request is for.
    """

    log: TableAuditLog
    clock: Callable[[], float]
    operation: AnyOperation
    params: Mapping[str, str]
    request: str
    agent: str | None = None
    _begun: tuple[str, str] | None = field(default=None, init=False)

    def begin(self, caller: Identity, body: object = None) -> None:
        """Store the entry before the effect, if there is one; raises the errors of the log.

        Of the body, only paths of nodes are stored. A caller without an organisation has no entry
        until the sign-in has found theirs.
        """
        if caller.org and is_audited(self.operation, caller) and not self.operation.safe:
            entry = self._entry(caller, body)
            self._begun = caller.org, self.log.add(caller.org, entry)

    def end(self, caller: Identity, status: int, answer: bytes) -> None:
        """Store the status; an error is logged, and does not change the response.

        A request that only read, or was refused before it could begin, gets its entry here.
        """
        if self._begun is None and caller.org and is_audited(self.operation, caller):
            entry = self._entry(caller, None).model_copy(update={"status": status})
            record(self.log, caller.org, entry)
        elif self._begun is not None:
            end(self.log, *self._begun, status, self._created(status, answer))

    def _entry(self, caller: Identity, body: object) -> AuditEntry:
        """Return the entry without a status.

        The subject of a request to an agent starts with its address: ``a/AGENT/PIPELINE``.
        """
        known = (self.params[name] for name in _SUBJECTS if name in self.params)
        subject = next(known, "") if caller.run is None else caller.run.subject
        if self.agent is not None:
            subject = f"a/{self.agent}/{subject}"
        return AuditEntry(
            time=self.clock(),
            user=caller.user,
            token=caller.token[:ID_LENGTH],
            operation=self.operation.name,
            subject=subject[:_MAX_PATH],
            paths=self._paths(body),
            request=self.request,
            client=caller.client,
            scopes=caller.scopes,
        )

    def _created(self, status: int, answer: bytes) -> str | None:
        """Return the subject if the request has created it."""
        if self.operation.name == CREATE_INVITATION.name and status == HTTPStatus.OK:
            return str(json.loads(answer)["invitation"]["id"])
        return None

    def _paths(self, body: object) -> tuple[str, ...]:
        found: list[Any] = [self.params["path"]] if "path" in self.params else []
        model = None if self.operation.private else self.operation.body
        if isinstance(body, bytes) and model is not None and _PATHS & set(model.model_fields):
            found += _paths_in(body)
        texts = [path[:_MAX_PATH] for path in found if isinstance(path, str) and path[:1] == "/"]
        return tuple(texts[:MAX_AUDIT_PATHS])


def end(
    log: TableAuditLog, org: str, position: str, status: int, subject: str | None = None
) -> None:
    """Store the status of an entry; an error is logged, and the entry stays without one."""
    try:
        log.end(org, position, status, subject)
    except Exception:
        logger.exception("the end of a request was not audited: %s, status %s", position, status)


def record(log: TableAuditLog, org: str, entry: AuditEntry) -> None:
    """Store a complete entry; an error is logged with the entry."""
    try:
        log.add(org, entry)
    except Exception:
        logger.exception("a request was not audited: %s", entry.model_dump_json())


def _paths_in(body: bytes) -> list[Any]:
    try:
        document = from_json(body)
    except ValueError:  # also too many levels: the service refuses it
        return []
    if not isinstance(document, dict):
        return []
    several = document.get("paths")
    return [document.get("path"), *(several if isinstance(several, list) else [])]
