"""Addresses of git repositories."""

from urllib.parse import urlsplit, urlunsplit


def without_password(url: str) -> str:
    """Return the URL without user name and password, except for ssh, which needs the name."""
    parts = urlsplit(url)
    if "@" not in parts.netloc or parts.scheme in ("", "ssh", "git+ssh"):
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
