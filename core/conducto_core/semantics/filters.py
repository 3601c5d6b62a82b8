"""The filters of ``.conducto.cfg``: ``{branch} == main && !({user} == *-bot)``.

A filter is split into tokens before values replace the names in braces, so no value can change its
structure. A ``*`` or ``?`` that is written in the filter is a pattern, one in a value is not.
"""

import re
from collections.abc import Callable, Collection, Mapping

_TOKEN = re.compile(r"\s*(\|\||&&|==|!=|!|\(|\)|\"[^\"]*\"|'[^']*'|(?:(?!\|\||&&|==|!=)[^\s()!])+)")
_NAME = re.compile(r"\{(\w+)\}")
_OPERATORS = frozenset({"||", "&&", "==", "!=", "!", "(", ")"})
_MAX_DEPTH = 50

Values = Mapping[str, str]
#: Decides by values.
Filter = Callable[[Values], bool]


class FilterError(ValueError):
    """A filter is invalid; the message has the part and the reason."""


def parse_filter(text: str, names: Collection[str]) -> Filter:
    """Return a filter; ``names`` are the known names of values.

    Raises:
        FilterError: It is invalid.
    """
    parser = _Parser(_tokens(text), names)
    found = parser.alternatives(0)
    if parser.tokens:
        raise FilterError(f"{parser.tokens[0]!r} is not expected here; write && or || before it")
    return found


def _tokens(text: str) -> list[str]:
    found, end = [], 0
    text = text.strip()
    while end < len(text):
        match = _TOKEN.match(text, end)
        if match is None:
            raise FilterError(f"cannot read {text[end:].strip()!r}")
        found.append(match[1])
        end = match.end()
    return found


class _Parser:
    """Takes the tokens of a filter, from the left."""

    def __init__(self, tokens: list[str], names: Collection[str]) -> None:
        self.tokens = tokens
        self._names = names

    def alternatives(self, depth: int) -> Filter:
        parts = [self._all_of(depth)]
        while self._take("||"):
            parts.append(self._all_of(depth))
        return lambda values: any(part(values) for part in parts)

    def _all_of(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self._take("&&"):
            parts.append(self._one(depth))
        return lambda values: all(part(values) for part in parts)

    def _one(self, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise FilterError("too many parentheses")
        if self._take("!"):
            negated = self._one(depth + 1)
            return lambda values: not negated(values)
        if self._take("("):
            inner = self.alternatives(depth + 1)
            if not self._take(")"):
                raise FilterError("a ')' is missing")
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        left = self._operand()
        equal = self._take("==")
        if not equal and not self._take("!="):
            raise FilterError(f"write == or != behind {left!r}")
        right = self._operand()
        return lambda values: _same(left, right, values) is equal

    def _operand(self) -> str:
        if not self.tokens or self.tokens[0] in _OPERATORS:
            after = self.tokens[0] if self.tokens else "the end"
            raise FilterError(f"a value is missing before {after!r}")
        token = self.tokens.pop(0)
        for name in _NAME.findall(token):
            if name not in self._names:
                known = ", ".join(sorted(self._names))
                raise FilterError(f"there is no value {{{name}}}; known: {known}")
        return token

    def _take(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False


def _same(left: str, right: str, values: Values) -> bool:
    return any(
        _matches(_pattern(one, values), _text(other, values))
        for one, other in ((left, right), (right, left))
    )


def _text(operand: str, values: Values) -> str:
    return _NAME.sub(lambda match: values.get(match[1], ""), _unquoted(operand))


#: A pattern: characters, and `_ANY` or `_ONE` instead of ``*`` and ``?``.
_Pattern = list[str | None]
_ANY, _ONE = "", None


def _pattern(operand: str, values: Values) -> _Pattern:
    """Return the pattern of an operand; values in braces are literal."""
    found: _Pattern = []
    for number, part in enumerate(_NAME.split(_unquoted(operand))):
        if number % 2:
            found += values.get(part, "")
        else:
            found += [{"*": _ANY, "?": _ONE}.get(char, char) for char in part]
    return found


def _matches(pattern: _Pattern, text: str) -> bool:
    """Return whether a text matches; a regular expression could backtrack exponentially.

    After a mismatch only the last star takes more characters: earlier ones need not.
    """
    here = at = 0
    star, began = -1, 0
    while at < len(text):
        if here < len(pattern) and pattern[here] == _ANY:
            star, began = here, at
            here += 1
        elif here < len(pattern) and pattern[here] in {_ONE, text[at]}:
            here, at = here + 1, at + 1
        elif star >= 0:
            began += 1
            here, at = star + 1, began
        else:
            return False
    return all(each == _ANY for each in pattern[here:])


def _unquoted(operand: str) -> str:
    return operand[1:-1] if operand[0] in "\"'" and operand[0] == operand[-1] else operand
