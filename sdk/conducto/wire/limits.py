"""How large a tree may be: one table for both sides, so that what runs here can be looked at too.

The numbers are far above what people write, and below where something breaks: a path goes into an
environment variable and, quoted, into a URL; a command is a file of the container and a line of
the store. Standard library only, Python 3.8 and later. Checks raise `ValueError`; the caller puts
the node's path before it.
"""

from __future__ import annotations

#: Nodes of a pipeline, those that Lazy nodes add included.
MAX_NODES = 1_000_000
#: Nodes one below the other, the root not counted.
MAX_LEVELS = 8_000
#: Bytes of a node's name in UTF-8.
MAX_NAME_BYTES = 1_024
#: Bytes of a node's path in UTF-8. Quoted in a URL that is thrice as much, of at most 64 KiB.
MAX_PATH_BYTES = 16 << 10
#: Bytes of a command in UTF-8.
MAX_COMMAND_BYTES = 4 << 20
#: Bytes of a path in the cloud, quoted for a URL: its gateway takes 10 KiB of head in all.
MAX_CLOUD_PATH_BYTES = 4 << 10
#: Bytes of ``NAME=VALUE`` of an environment variable, as Linux takes them: 128 KiB with a NUL.
MAX_ENV_BYTES = (128 << 10) - 1
#: Bytes of a command in the cloud: it comes to its worker in an answer of at most 6 MB.
MAX_CLOUD_COMMAND_BYTES = 1 << 20

_SHOWN = 400


def size_of(text: str) -> int:
    """Return the bytes of ``text`` in UTF-8; half a character counts as one would."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def shortened(text: str) -> str:
    """Return ``text`` as it fits into a message: the middle of a long one is left out."""
    half = _SHOWN // 2
    return text if len(text) <= _SHOWN else f"{text[:half]}…{text[-half:]}"


def check_nodes(count: int) -> None:
    """Accept a number of nodes.

    Raises:
        ValueError: a pipeline may not have so many.
    """
    if count > MAX_NODES:
        raise ValueError(
            f"the pipeline would have {count:,} nodes, at most {MAX_NODES:,} are accepted; let a "
            "command do the work of several, or launch several pipelines"
        )


def check_name(name: str) -> int:
    """Return the bytes of a name.

    Raises:
        ValueError: a name may not have so many.
    """
    size = size_of(name)
    if size > MAX_NAME_BYTES:
        raise ValueError(
            f"a child's name is {size} bytes long, at most {MAX_NAME_BYTES} are accepted: "
            f"{shortened(name)!r}; name it shortly, and tell the rest in doc="
        )
    return size


def check_place(levels: int, size: int) -> None:
    """Accept the place of a node in its tree.

    Args:
        levels: Nodes from the root down to it, the root not counted.
        size: Bytes of its path.

    Raises:
        ValueError: it is too deep, or its path too long.
    """
    if levels > MAX_LEVELS:
        raise ValueError(
            f"the tree has more than {MAX_LEVELS:,} levels here; put nodes beside each other"
        )
    if size > MAX_PATH_BYTES:
        raise ValueError(
            f"a path below it is {size} bytes long, at most {MAX_PATH_BYTES} are accepted; use "
            "shorter names, or fewer levels"
        )


def check_command_size(size: int, most: int = MAX_COMMAND_BYTES) -> None:
    """Accept the size of a command.

    Raises:
        ValueError: it has more than ``most`` bytes.
    """
    if size > most:
        raise ValueError(
            f"command is {size} bytes long, at most {most} are accepted; "
            "put it into a file of the image"
        )
