"""Text of commands and authors in the response to an assistant, marked as data. Pure.

Lines of output and of commands start with a bar, between tags with a random word that the text
cannot know; names are JSON strings. Control and invisible characters are removed, so that nothing
in the text looks like the end of it, or like words of Conducto.
"""

import json
import re
import unicodedata
from collections.abc import Iterable

#: Maximum characters of one line.
MAX_LINE = 2000
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
#: Categories of characters that are not shown: controls, formats, surrogates, private ones.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def clean(line: str) -> str:
    """Return a line without escapes, control and invisible characters, cut to `MAX_LINE`."""
    text = _ESCAPE.sub("", line[: 4 * MAX_LINE]).replace("\t", "    ")
    text = "".join(c for c in text if c == " " or unicodedata.category(c) not in _HIDDEN)
    more = len(text) - MAX_LINE
    return f"{text[:MAX_LINE]} … {more:,} characters more" if more > 0 else text


def quoted(text: str) -> str:
    """Return a path or title as a JSON string, without invisible characters."""
    return json.dumps(clean(text), ensure_ascii=False)


def fence(lines: Iterable[str], nonce: str) -> str:
    """Return lines of untrusted text between tags.

    Args:
        lines: The lines, without their ends.
        nonce: A random word, new for each response.
    """
    body = "\n".join(f"| {clean(line)}" for line in lines)
    return f"<output {nonce}>\n{body}\n</output {nonce}>" if body else f"<output {nonce} empty/>"


def last_lines(lines: list[str], max_bytes: int) -> tuple[list[str], int]:
    """Return the last lines that fit into some bytes, and the number of those left out."""
    size, start = 0, len(lines)
    while start > 0:
        size += len(clean(lines[start - 1]).encode()) + 3
        if size > max_bytes and start < len(lines):
            break
        start -= 1
    return lines[start:], start
