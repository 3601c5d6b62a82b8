"""The credentials in the user's docker configuration, for pulling private images."""

import base64
import binascii
import json
import os
import subprocess
from pathlib import Path
from typing import Any

#: Docker's key for the credentials of references without a registry.
_DEFAULT_KEY = "https://index.docker.io/v1/"
_HELPER_SECONDS = 10


def registry_of(reference: str) -> str | None:
    """Return the registry that a reference names, or None for the default one."""
    first, slash, _ = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if is_host else None


def registry_header(reference: str, config: Path | None = None) -> dict[str, str]:
    """Return the header with credentials for pulling ``reference``; empty without credentials.

    Args:
        reference: The image to pull.
        config: Docker's configuration file; None for its default path.
    """
    if config is None:
        folder = os.environ.get("DOCKER_CONFIG")
        config = (Path.home() / ".docker" if folder is None else Path(folder)) / "config.json"
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    registry = registry_of(reference)
    key = _DEFAULT_KEY if registry is None else registry
    login = _from_helper(settings, key)
    if login is None:
        login = _from_file(settings, key)
    if login is None:
        return {}
    text = json.dumps({**login, "serveraddress": key})
    return {"X-Registry-Auth": base64.urlsafe_b64encode(text.encode()).decode()}


def _from_file(settings: dict[str, Any], key: str) -> dict[str, str] | None:
    entry = settings.get("auths", {}).get(key, {})
    if entry.get("identitytoken"):
        return {"identitytoken": entry["identitytoken"]}
    try:
        user, colon, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return {"username": user, "password": password} if colon else None


def _from_helper(settings: dict[str, Any], key: str) -> dict[str, str] | None:
    helper = settings.get("credHelpers", {}).get(key, settings.get("credsStore"))
    if not helper:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - the helper that the user's own configuration names
            [f"docker-credential-{helper}", "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=True,
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    if found.get("Username") == "<token>":
        return {"identitytoken": found["Secret"]}
    return {"username": found.get("Username", ""), "password": found.get("Secret", "")}
