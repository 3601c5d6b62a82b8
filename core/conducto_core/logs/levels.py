"""The level of a line of output: info, warning or error."""

import json
import re
from collections.abc import Mapping

from conducto_core.logs.model import Level, MergedStream

_WORDS: Mapping[str, Level] = {
    **dict.fromkeys(("error", "err", "fatal", "critical", "crit", "panic", "severe"), "error"),
    **dict.fromkeys(("warning", "warn"), "warning"),
    **dict.fromkeys(("info", "debug", "notice", "trace"), "info"),
}
_RANKS: Mapping[Level, int] = {"info": 0, "warning": 1, "error": 2}
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: The start of a line that may have its level.
_HEADS = 100
_CAPITALS = re.compile(
    r"\b(ERROR|FATAL|CRITICAL|PANIC|SEVERE|WARNING|WARN|INFO|DEBUG|NOTICE|TRACE)\b"
)
_NAMED = re.compile(r"[\s\[(<]{0,8}([A-Za-z]{3,8})[\])>]?:")
_EXCEPTION = re.compile(r"[\w.]{0,80}(?:Error|Exception):|Traceback \(|E {2,}\S")
_LEVEL_FIELDS = ("level", "severity", "lvl", "levelname", "log.level")


def level_of(text: str, stream: MergedStream) -> Level:
    """Return the level of a line: by a word at its start or a JSON field, otherwise its stream."""
    plain = _ESCAPES.sub("", text) if "\x1b" in text else text
    if plain.startswith("{"):
        found = _json_level(plain)
        if found is not None:
            return found
    head = plain[:_HEADS]
    word = _CAPITALS.search(head) or _NAMED.match(head)
    named = None if word is None else _WORDS.get(word[1].lower())
    if named is not None:
        return named
    if _EXCEPTION.match(head):
        return "error"
    return "warning" if stream == "stderr" else "info"


def _json_level(text: str) -> Level | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for name in _LEVEL_FIELDS:
        given = value.get(name) if isinstance(value, dict) else None
        if isinstance(given, str) and given.lower() in _WORDS:
            return _WORDS[given.lower()]
    return None


def has_level(level: Level, wanted: Level | None) -> bool:
    """Return whether a level is the wanted one or a higher one."""
    return wanted is None or _RANKS[level] >= _RANKS[wanted]
