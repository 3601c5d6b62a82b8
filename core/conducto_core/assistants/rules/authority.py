"""What an assistant may do: a fixed list of operations for each scope. Pure.

Permissions cannot express it: `read` includes logins and tokens, `change_state` includes decisions
about approvals. No scope has an operation on approvals, people, billing, tokens, secrets,
schedules, triggers or agents. The servers check each request of a token of the kind ``assistant``.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

from pydantic import ValidationError

from conducto_core.api.operation import AnyOperation, LinkClass, Permission
from conducto_core.assistants.model import MAX_CLIENT, ExecRequest
from conducto_core.assistants.operations import EXEC
from conducto_core.installation.names import SCOPES, Scope
from conducto_core.remote.model import Caller
from conducto_core.remote.rules import LinkRequest, class_needed
from conducto_core.run.model.requests import ControlRequest
from conducto_core.run.operations import CONTROL

_PERMISSIONS: Mapping[Scope, frozenset[Permission]] = MappingProxyType(
    {
        "read": frozenset({Permission.READ}),
        "control": frozenset({Permission.READ, Permission.CHANGE_STATE}),
        "author": frozenset({Permission.READ, Permission.CHANGE_STATE, Permission.LAUNCH}),
        "use_secrets": frozenset({Permission.SECRETS, Permission.DEBUG}),
    }
)
_READ = (
    "list_pipelines",
    "get_pipeline",
    "get_diagnosis",
    "get_tree",
    "get_states",
    "get_node",
    "list_attempts",
    "get_resources",
    "get_definition",
    "get_continuation",
    "list_images",
    "read_image_log",
    "read_log",
    "read_log_lines",
    "search_log",
    "outline_log",
    "read_output",
    "download_log",
    "get_program",
    "get_program_start",
    "compare_pipelines",
    "node_history",
    "memory_history",
    "get_why",
    "get_result",
    "list_metrics",
    "compare_metrics",
    "list_artifacts",
    "read_service_output",
    "get_activity",
    "list_pipeline_tests",
    "list_program_tests",
    "list_partitions",
    "get_cost",
    "get_agent",
    "who_am_i",
)
_AUTHOR = (
    "launch",
    "launch_again",
    "start_program",
    "cancel_program_start",
    "upload_body",
    "upload_contexts",
    "own_builds",
    EXEC.name,
)
#: The operations of assistants, and the lowest scope that each needs.
OPERATIONS: Mapping[str, Scope] = MappingProxyType(
    {
        **dict.fromkeys(_READ, "read"),
        CONTROL.name: "control",
        **dict.fromkeys(_AUTHOR, "author"),
    }
)
_CLASSES: Mapping[LinkClass, Scope] = MappingProxyType(
    {LinkClass.READ: "read", LinkClass.CONTROL: "control", LinkClass.AUTHOR: "author"}
)


class ScopeRefusal(NamedTuple):
    """The reason why an assistant may not send a request, and what a person can do."""

    detail: str
    remedy: str


def ordered(scopes: Collection[str]) -> tuple[Scope, ...]:
    """Return scopes in their order, with those that they include.

    An assistant that defines work may also control it, and every assistant may read.
    """
    wanted = {"read", *scopes, *(("control",) if "author" in scopes else ())}
    return tuple(scope for scope in SCOPES if scope in wanted)


def permissions_of_scopes(scopes: Collection[str]) -> frozenset[Permission]:
    """Return the permissions that the operations of some scopes need."""
    return frozenset[Permission]().union(*(_PERMISSIONS[one] for one in ordered(scopes)))


def refusal_of_scopes(
    scopes: Collection[str], operation: AnyOperation, body: bytes = b""
) -> ScopeRefusal | None:
    """Return why an assistant with these scopes may not send a request, or None.

    Args:
        scopes: Those of its token.
        operation: The requested operation.
        body: The body of the request; an action is checked by its contents.
    """
    needed = OPERATIONS.get(operation.name)
    if needed is None:
        return ScopeRefusal(
            f"{operation.name} is never allowed to an assistant", "ask a person to do it"
        )
    if operation.name == CONTROL.name:
        needed = _scope_of_action(operation, body)
    wanted: tuple[Scope, ...] = (needed,)
    if operation.name == EXEC.name and _wants_secrets(body):
        wanted = (needed, "use_secrets")
    for scope in wanted:
        if scope not in scopes:
            return ScopeRefusal(
                f"{operation.name} needs the scope {scope!r}; this token has "
                f"{', '.join(ordered(scopes))}",
                "ask a person for a token with it: conducto tokens create NAME --assistant "
                f"--allow {','.join(ordered({*scopes, scope}))}",
            )
    return None


def client_name(text: str) -> str:
    """Return the name by which a client calls itself, without characters that could mislead."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MAX_CLIENT]


def _scope_of_action(operation: AnyOperation, body: bytes) -> Scope:
    try:
        control = ControlRequest.model_validate_json(body)
    except ValidationError:
        return "author"  # the service explains the error
    request = LinkRequest(operation, Caller(user="assistant"), control)
    return _CLASSES[class_needed(request, owner="")]


def _wants_secrets(body: bytes) -> bool:
    try:
        return ExecRequest.model_validate_json(body).secrets
    except ValidationError:
        return False
