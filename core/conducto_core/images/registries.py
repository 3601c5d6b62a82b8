"""The registries of image references, and their caches. Pure."""

from collections.abc import Mapping

#: The registry of names without one, and its namespace for names without a slash.
DEFAULT = "docker.io"
_OFFICIAL = "library"


def parts(reference: str) -> tuple[str, str]:
    """Return the registry of a reference, and the rest of it as that registry knows it.

    >>> parts("python:3.13-slim"), parts("quay.io/a/b@sha256:0")
    (('docker.io', 'library/python:3.13-slim'), ('quay.io', 'a/b@sha256:0'))
    """
    first, slash, rest = reference.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    host, path = (first, rest) if is_host else (DEFAULT, reference)
    if host == DEFAULT and "/" not in path:
        path = f"{_OFFICIAL}/{path}"
    return host, path


def read_caches(text: str) -> dict[str, str]:
    """Return ``{registry: address of its cache}`` from ``registry=address registry=address``."""
    return dict(pair.split("=", 1) for pair in text.split())


def cached(reference: str, caches: Mapping[str, str]) -> str:
    """Return an image's name in the cache of its registry; its own name without a cache."""
    host, path = parts(reference)
    return f"{caches[host]}/{path}" if host in caches else reference
