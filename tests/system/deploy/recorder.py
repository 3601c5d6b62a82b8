"""A record of the role behind each request: every signed request of a role's session, unchanged.

Part of ministack's process. `system.deploy.calls` reads the record.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from ministack import app as gateway
from ministack.core.router import extract_access_key_id
from ministack.services import sts

from system.deploy.shims import replace
from system.deploy.shims.rights import role_of

#: Bytes of a body that are kept: more than any request has, except for files.
MAX_BODY = 1_000_000
_SECRET = ("authorization", "x-amz-security-token")


def record(calls: Path) -> None:
    """Write each signed request of a role's session into a file, a line each."""
    written = calls.open("w")

    @replace(gateway, "app")
    async def app(original: Any, scope: Any, receive: Any, send: Any) -> None:
        found = _request(scope) if scope["type"] == "http" else None
        if found is None:
            await original(scope, receive, send)
            return
        body = bytearray()

        async def received() -> Any:
            message = await receive()
            if len(body) < MAX_BODY and scope["method"] == "POST":
                body.extend(message.get("body", b""))
            return message

        await original(scope, received, send)
        line = json.dumps({**found, "body": body.decode("utf-8", "replace")})
        written.write(line + "\n")
        written.flush()


def _request(scope: dict[str, Any]) -> dict[str, Any] | None:
    """Return a request without its body; None if no role's session signed it."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    key = extract_access_key_id(headers, parse_qs(query))
    session = sts._sessions.get(key)
    if session is None or ":assumed-role/" not in session["Arn"]:
        return None
    credential = headers.get("authorization") or parse_qs(query)["X-Amz-Credential"][0]
    return {
        "role": role_of(session["Arn"]).rpartition("/")[2],
        "policy": (session.get("SessionPolicies") or {}).get("Policy"),
        "service": credential.partition(f"{key}/")[2].split("/")[2],
        "method": scope["method"],
        "url": f"https://{headers['host']}{scope['raw_path'].decode()}?{query}",
        "headers": {name: value for name, value in headers.items() if name not in _SECRET},
    }
