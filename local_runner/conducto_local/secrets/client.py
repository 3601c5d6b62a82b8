"""Secrets for scripts on this machine: through the agent if it is running.

Imports little, because scripts declare secrets each time their tree is printed.
"""

import http.client
import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from conducto_core.secrets.port import SecretName, SecretRefusedError, StoredSecret
from conducto_local.agent.files import AgentFiles
from conducto_local.agent.state_dir import StateDir, open_state_dir
from conducto_local.secrets.store import LocalSecrets

#: Seconds to wait for the agent.
TIMEOUT = 10.0
_PUT = "/api/v1/secrets"
_DELETE = "/api/v1/secrets/delete"
_OK = 200
_REFUSED = frozenset({409, 413, 422})


def put(secrets: Iterable[StoredSecret], profile: str | None = None) -> None:
    """Store secrets, replacing those of the same names, all or nothing.

    Args:
        profile: None for the current profile.

    Raises:
        SecretStoreError: They cannot be stored.
        OSError: The profile's directory cannot be created.
        ValueError: The profile's name is invalid.
    """
    new = list(secrets)
    if not new:
        return
    home = open_state_dir(profile)
    document = {
        "secrets": [{**_key(s.name), "value": s.value, "mask": s.mask} for s in new],
    }
    if not _agent_did(home, _PUT, document):
        LocalSecrets(home).put(new)


def delete(names: Iterable[SecretName], profile: str | None = None) -> None:
    """Delete secrets, if they exist. Raises the errors of `put`."""
    removed = list(names)
    home = open_state_dir(profile)
    if not _agent_did(home, _DELETE, {"keys": [_key(name) for name in removed]}):
        LocalSecrets(home).delete(removed)


def read(profile: str | None = None) -> dict[SecretName, StoredSecret]:
    """Return every secret with its value. Raises the errors of `put`.

    Reads the store directly, because the agent never returns values.
    """
    return LocalSecrets(open_state_dir(profile)).read()


def _key(name: SecretName) -> dict[str, object]:
    return {"scope": name.scope, "key": name.key}


def _agent_did(home: StateDir, path: str, document: object) -> bool:
    """Send a request to the agent; return False if no agent can handle it."""
    files = AgentFiles(home.agent)
    if not files.is_running():
        return False
    state, token = files.read_state(), files.read_token()
    if state is None or token is None:
        return False
    address = urlsplit(state.url)
    connection = http.client.HTTPConnection(
        address.hostname or "", address.port or 0, timeout=TIMEOUT
    )
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", path, json.dumps(document), headers)
        reply = connection.getresponse()
        status, body = reply.status, reply.read()
    except (OSError, http.client.HTTPException):
        return False  # it may be stopping or hang; write the store directly
    finally:
        connection.close()
    if status in _REFUSED:
        raise SecretRefusedError(
            str(json.loads(body).get("detail", "the agent rejected the request"))
        )
    return status == _OK
