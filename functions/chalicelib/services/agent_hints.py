"""Commands in the texts of an agent, with the address that its pipelines have in the cloud.

A machine names a pipeline by its id: ``conducto rerun ID /``. Elsewhere, the id is ``a/AGENT/ID``.
"""

import json
import re
from typing import Any

from pydantic_core import from_json

#: Fields with sentences of Conducto; those with texts of users are never changed.
_SENTENCES = frozenset({"detail", "remedy", "waits_for", "wait_remedy", "notes", "reason"})
_COMMAND = b"conducto "


def addressed(body: bytes, agent: str, pipeline: str) -> bytes:
    """Return a JSON response in which the commands in Conducto's sentences have the address.

    Args:
        body: The response; anything else than JSON is returned unchanged.
        agent: The agent.
        pipeline: The id of the request, or the beginning of it.
    """
    if _COMMAND not in body:
        return body
    try:
        document = from_json(body)
    except ValueError:
        return body
    pattern = re.compile(
        rf"(\bconducto [a-z-]+ (?:get |put |list )?)(?=({re.escape(pipeline)}[\w-]*)(?:['\s.,;]|$))"
    )
    return json.dumps(_changed(document, pattern, rf"\1a/{agent}/")).encode()


def _changed(value: Any, pattern: re.Pattern[str], replacement: str) -> Any:
    match value:
        case dict():
            return {
                name: _sentences(found, pattern, replacement)
                if name in _SENTENCES
                else _changed(found, pattern, replacement)
                for name, found in value.items()
            }
        case list():
            return [_changed(one, pattern, replacement) for one in value]
        case _:
            return value


def _sentences(value: Any, pattern: re.Pattern[str], replacement: str) -> Any:
    match value:
        case str():
            return pattern.sub(replacement, value)
        case list():
            return [_sentences(one, pattern, replacement) for one in value]
        case _:
            return value
