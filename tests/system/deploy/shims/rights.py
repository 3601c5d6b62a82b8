"""IAM: the caller's identity, and wrong denials of ministack's own evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator

from system.deploy.shims import Shim, replace

_SESSION = "arn:aws:sts::000000000000:assumed-role/Probe/session"
_ROLE = "arn:aws:iam::000000000000:role/Probe"


def _use_roles() -> None:
    @replace(iam_evaluator, "_resolve_condition_key")
    def condition(original: Any, key: str, context: Any) -> Any:
        value = original(key, context)
        if key.lower() == "aws:principalarn" and ":assumed-role/" in str(value):
            return role_of(value)
        return value


def role_of(session: str) -> str:
    """Return the ARN of the role that a session has."""
    return session.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]


def _uses_sessions() -> bool:
    context = iam_evaluator.EvalContext(
        principal_arn=_SESSION,
        principal_type="AssumedRole",
        principal_account="000000000000",
        action="sts:AssumeRole",
        resource_arn="*",
        region="us-east-1",
    )
    return iam_evaluator._resolve_condition_key("aws:PrincipalArn", context) != _ROLE


def _enforce_nothing() -> None:
    @replace(iam_evaluator, "enforce")
    def enforce(original: Any, *arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        return found if isinstance(found, iam_evaluator.AuthError) else None


def _knows_no_resource() -> bool:
    """Return whether ministack takes '*' for the resource of a call whose resource AWS checks."""
    from ministack.core import iam_actions

    source = Path(iam_actions.__file__).read_text()
    return "DescribeRepositories" not in source


SHIMS = (
    Shim(
        "principal-arn",
        "aws:PrincipalArn of a session is its role; ministack has the session.",
        _use_roles,
        _uses_sessions,
    ),
    Shim(
        "enforcement",
        "IAM checks the resource of each call; ministack finds the resources of few, and would "
        "deny the others. `system.deploy.calls` compares the roles' calls with the templates.",
        _enforce_nothing,
        _knows_no_resource,
    ),
)
