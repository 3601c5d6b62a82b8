"""Names of files in a data store."""


# pathlib is slow to import, and this runs at every call in a container.

from __future__ import annotations

#: Where the files of a cached command are, to which its data directories have links.
INPUTS = "/conducto/.data"


def clean(name: str) -> str:
    """Return the name without empty and ``.`` parts and without a leading slash.

    Raises:
        TypeError: It is not text.
        ValueError: It contains NUL, or has a part ``..``.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of data must be text, got {name!r}")
    if "\0" in name:
        raise ValueError(f"{name!r} cannot be a name of data: it holds a NUL character.")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ValueError(f"{name!r} cannot be a name of data: '..' would leave its directory.")
    return "/".join(parts)


_KEPT = 200


def of_node(path: str, longest: int) -> str:
    """Return a name of at most ``longest`` bytes, without a slash, for the path of a node."""
    quoted = path.replace("%", "%25").replace("+", "%2B").replace("/", "+").encode()
    if len(quoted) <= longest:
        return quoted.decode()
    import hashlib  # noqa: PLC0415 - slow to import, rarely needed

    # A percent sign without digits after it, so that the name cannot be read as a path.
    start = quoted[:_KEPT].decode(errors="ignore")
    return f"{start}%-{hashlib.sha256(path.encode()).hexdigest()[:16]}"
