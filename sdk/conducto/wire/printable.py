"""Text of scripts, containers and Lazies, made safe for a terminal.

A name, a command or a message comes from a program: it must not move the cursor, set the title or
the clipboard, or change the direction of the text after it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable

#: `difflib` is slow on more names than this.
_NAMES_COMPARED = 3000
_SHOWN = 200  # characters of a value in a message


def printable(text: str) -> str:
    r"""Return ``text`` with every control or direction-changing character made visible.

    >>> printable("a\x1b]52;c;aGk=\x07b")
    'a\\x1b]52;c;aGk=\\x07b'
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def printable_lines(text: str) -> str:
    """Return ``text`` as `printable` does, with its line ends kept."""
    return text if text.isprintable() else "\n".join(map(printable, text.split("\n")))


def shown_argument(value: Any) -> str:
    """Return an argument or an item for a message, shortened only if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def suggestion(wrong: str, known: Iterable[str], *, prefix: str = "", cutoff: float = 0.5) -> str:
    """Return ``; did you mean '/tests/login'?``, or nothing when nothing is near.

    Args:
        wrong: The unknown word.
        known: The words that it may stand for.
        prefix: Precedes the word in the text, such as ``--``.
        cutoff: Similarity from which a word is near, 0 to 1.
    """
    import difflib  # noqa: PLC0415 - only for errors

    names = [name for name in known if name != "/"]  # short, so it is near to much
    if len(names) > _NAMES_COMPARED:
        last = wrong.rpartition("/")[2]
        names = [name for name in names if name.endswith(last)] or names
    near = difflib.get_close_matches(wrong, names[:_NAMES_COMPARED], n=1, cutoff=cutoff)
    return f"; did you mean {prefix + near[0]!r}?" if near else ""


def shell_word(text: str, *, multiline: bool = False) -> str:
    r"""Return ``text`` as one argument for a shell that can be shown and copied.

    An argument with control characters is written as ``$'...'``, which bash and zsh support.

    Args:
        text: The argument.
        multiline: Leave line ends and tabs unchanged, for any POSIX shell.

    >>> print(shell_word("/it is"), shell_word("/a\x1b[2J'"))
    '/it is' $'/a\x1b[2J\''
    """
    import shlex  # noqa: PLC0415 - not for a tree that is only built

    shown = text.replace("\n", "").replace("\t", "") if multiline else text
    if shown.isprintable():
        return shlex.quote(text)
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'{}'".format("".join(c if c.isprintable() else _bytes(c) for c in quoted))


def _escaped(char: str) -> str:
    return " " if char == "\xa0" else char.encode("unicode_escape").decode("ascii")


def _bytes(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))
