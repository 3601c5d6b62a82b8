"""Addresses of git repositories, in any form that git accepts."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SCP_FORM = re.compile(r"(?:[^@/:]+@)?(?P<host>[^/:]+):(?!//)(?P<path>.+)")


def page_of(url: str) -> str:
    """Return the address of the repository's page: https, without credentials or ``.git``."""
    host, path = host_and_path(url)
    return f"https://{host}/{re.sub(r'[.]git$', '', path)}" if host else url


def host_and_path(url: str) -> tuple[str, str]:
    """Return host and path of a repository's address; both empty for a local path."""
    if "://" in url:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.path.lstrip("/")
    match = _SCP_FORM.fullmatch(url)
    return (match["host"].lower(), match["path"].lstrip("/")) if match else ("", "")
