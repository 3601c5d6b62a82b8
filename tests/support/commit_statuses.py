"""Statuses of commits, as the documentation of each provider describes their requests."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

_TEXT: dict[str, Any] = {"type": "string"}
_ADDRESS: dict[str, Any] = {"type": "string", "pattern": "^https?://"}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


SCHEMAS: dict[str, dict[str, Any]] = {
    "github": _object(
        ["state"],
        state={"enum": ["error", "failure", "pending", "success"]},
        target_url=_ADDRESS,
        description={"type": "string", "maxLength": 140},
        context=_TEXT,
    ),
    "gitlab": _object(
        ["state"],
        state={"enum": ["pending", "running", "success", "failed", "canceled", "skipped"]},
        target_url=_ADDRESS,
        description={"type": "string", "maxLength": 255},
        name=_TEXT,
    ),
    "bitbucket": _object(
        ["state", "key", "url"],
        state={"enum": ["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"]},
        key={"type": "string", "maxLength": 40},
        url=_ADDRESS,
        description=_TEXT,
        name=_TEXT,
    ),
    "gitea": _object(
        ["state", "context"],
        state={"enum": ["pending", "success", "error", "failure", "warning"]},
        target_url=_ADDRESS,
        description=_TEXT,
        context=_TEXT,
    ),
}


def problem_of(provider: str, body: dict[str, Any]) -> str | None:
    """Return why a provider refuses a status, or None."""
    error = next(Draft202012Validator(SCHEMAS[provider]).iter_errors(body), None)
    return None if error is None else error.message[:200]
