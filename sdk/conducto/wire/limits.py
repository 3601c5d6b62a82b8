"""The maximum sizes of a tree, the same for both targets.

The numbers are far above those of real trees, and below those at which something breaks: a path is
part of an environment variable and, quoted, of a URL; a command is a file of the container and a
line of the store. Standard library only, Python 3.8 and later. Checks raise `ValueError`; the
caller adds the node's path before it.
"""

from __future__ import annotations

#: Nodes of a pipeline, including those that Lazy nodes add.
MAX_NODES = 1_000_000
#: Levels of nodes, without the root.
MAX_LEVELS = 8_000
#: Bytes of a node's name in UTF-8.
MAX_NAME_BYTES = 1_024
#: Bytes of a node's path in UTF-8. Quoted in a URL it is three times as long, of at most 64 KiB.
MAX_PATH_BYTES = 16 << 10
#: Bytes of a command in UTF-8.
MAX_COMMAND_BYTES = 4 << 20
#: Bytes of a path in the cloud, quoted for a URL: its gateway accepts 10 KiB of headers in total.
MAX_CLOUD_PATH_BYTES = 4 << 10
#: Bytes of ``NAME=VALUE`` of an environment variable; Linux allows 128 KiB with a NUL.
MAX_ENV_BYTES = (128 << 10) - 1
#: Bytes of a word of a command; Linux allows 128 KiB with a NUL.
MAX_WORD_BYTES = (128 << 10) - 1
#: Items of a map that the cloud expands, for which the memory of its function suffices.
MAX_CLOUD_ITEMS = 100_000
#: Bytes of a command in the cloud: its worker gets it in a response of at most 6 MB.
MAX_CLOUD_COMMAND_BYTES = 1 << 20

_SHOWN = 400


def size_of(text: str) -> int:
    """Return the bytes of ``text`` in UTF-8; a surrogate counts as a character."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def shortened(text: str) -> str:
    """Return ``text`` for a message: a long one is shortened in the middle."""
    half = _SHOWN // 2
    return text if len(text) <= _SHOWN else f"{text[:half]}…{text[-half:]}"


def check_nodes(count: int) -> None:
    """Check a number of nodes.

    Raises:
        ValueError: it exceeds the maximum of a pipeline.
    """
    if count > MAX_NODES:
        raise ValueError(
            f"the pipeline would have {count:,} nodes, at most {MAX_NODES:,} are accepted; let a "
            "command do the work of several, or launch several pipelines"
        )


def check_name(name: str) -> int:
    """Return the bytes of a name.

    Raises:
        ValueError: they exceed the maximum.
    """
    size = size_of(name)
    if size > MAX_NAME_BYTES:
        raise ValueError(
            f"a child's name is {size} bytes long, at most {MAX_NAME_BYTES} are accepted: "
            f"{shortened(name)!r}; use a shorter name, and put the rest into doc="
        )
    return size


def check_place(levels: int, size: int) -> None:
    """Check the levels of a node below the root, and the bytes of its path.

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


def check_word(word: str, name: str, function: str) -> None:
    """Check the size of the word of a command for an argument of a function.

    Raises:
        ValueError: it exceeds the maximum.
    """
    size = size_of(word)
    if size > MAX_WORD_BYTES:
        raise ValueError(
            f"argument {name} of {function} has {size:,} bytes in the command, at most "
            f"{MAX_WORD_BYTES:,} are accepted; write it to a file of the data, and pass its name"
        )


def check_command_size(size: int, maximum: int = MAX_COMMAND_BYTES) -> None:
    """Check the size of a command.

    Raises:
        ValueError: it has more than ``maximum`` bytes.
    """
    if size > maximum:
        raise ValueError(
            f"command is {size} bytes long, at most {maximum} are accepted; "
            "put it into a file of the image"
        )
