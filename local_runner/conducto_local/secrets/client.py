"""Secrets as a script on this machine uses them: through the agent where one runs.

Light on purpose: scripts declare secrets each time they are printed.
"""

import http.client
import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from conducto_core.ports.secret_store import SecretName, SecretRefusedError, StoredSecret
from conducto_local.agent_files import AgentFiles
from conducto_local.secrets.local import LocalSecrets
from conducto_local.state_dir import StateDir, open_state_dir

#: Seconds to wait for the agent.
TIMEOUT = 10.0
_PUT = "/api/v1/secrets"
_DELETE = "/api/v1/secrets/delete"
_OK = 200
_REFUSED = frozenset({409, 413, 422})


def put(secrets: Iterable[StoredSecret], profile: str | None = None) -> None:
    """Store secrets over those of the same name, all or nothing.

    Args:
        secrets: Each with its value.
        profile: None is the profile in use.

    Raises:
        SecretStoreError: they cannot be stored.
        OSError: the profile's directory cannot be made.
        ValueError: there cannot be such a profile.
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
    """Delete secrets; one that is not there is no error. Raises what `put` raises."""
    gone = list(names)
    home = open_state_dir(profile)
    if not _agent_did(home, _DELETE, {"keys": [_key(name) for name in gone]}):
        LocalSecrets(home).delete(gone)


def read(profile: str | None = None) -> dict[SecretName, StoredSecret]:
    """Return every secret, with its value. Raises what `put` raises.

    It comes straight from the store: the agent tells values to nobody.
    """
    return LocalSecrets(open_state_dir(profile)).read()


def _key(name: SecretName) -> dict[str, object]:
    return {"scope": name.scope, "key": name.key}


def _agent_did(home: StateDir, path: str, document: object) -> bool:
    """Ask the agent to do it; False where none runs, or only one that cannot.

    Raises:
        SecretRefusedError: it says no to what it was given.
    """
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
        return False  # it may just end, or hang; the store can be written without it
    finally:
        connection.close()
    if status in _REFUSED:
        raise SecretRefusedError(str(json.loads(body).get("detail", "the agent refused")))
    return status == _OK
