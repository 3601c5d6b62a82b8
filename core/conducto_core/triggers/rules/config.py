"""The file ``.conducto.cfg``: which section of it an event launches, and with which command.

An error names its line, because it becomes the status of the commit.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from configparser import ConfigParser, MissingSectionHeaderError, ParsingError
from configparser import Error as ConfigParserError
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import Any

from pydantic_core import from_json

from conducto_core.triggers.model import SECTION_KINDS, GitEvent, GitEventKind
from conducto_core.triggers.rules.patterns import (
    NamePatternError,
    NamePatterns,
    parse_patterns,
)

# ----------------------------------------------------------------------------------------
# The filters of ``.conducto.cfg``: ``{branch} == main && !({user} == *-bot)``.
#
# A filter is split into tokens before values replace the names in braces, so no value can change
# its structure. A ``*`` or ``?`` that is written in the filter is a pattern, one in a value is not.


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
        while self._next_token("||"):
            parts.append(self._all_of(depth))
        return lambda values: any(part(values) for part in parts)

    def _all_of(self, depth: int) -> Filter:
        parts = [self._one(depth)]
        while self._next_token("&&"):
            parts.append(self._one(depth))
        return lambda values: all(part(values) for part in parts)

    def _one(self, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise FilterError("too many parentheses")
        if self._next_token("!"):
            negated = self._one(depth + 1)
            return lambda values: not negated(values)
        if self._next_token("("):
            inner = self.alternatives(depth + 1)
            if not self._next_token(")"):
                raise FilterError("a ')' is missing")
            return inner
        return self._comparison()

    def _comparison(self) -> Filter:
        left = self._operand()
        equal = self._next_token("==")
        if not equal and not self._next_token("!="):
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

    def _next_token(self, token: str) -> bool:
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


#: Names in braces that commands and filters may use.
NAMES = (
    *("event", "url", "repository", "branch", "sha", "user", "number", "title", "base_branch"),
    "tag",
)
#: Maximum bytes of the file.
MAX_BYTES = 64 << 10
_GENERAL = ".general"
_GENERAL_KEYS = frozenset({"name", "desc", "init"})
_PATTERNS = ("paths", "branches", "tags")
_KEYS = frozenset({"command", "filter", "duplicate", "slack_channel", *_PATTERNS})
#: Events whose changed files are known, and those of a tag.
_WITH_FILES = frozenset({GitEventKind.PUSH, GitEventKind.PULL_REQUEST, GitEventKind.MERGE_GROUP})
_OF_TAGS = frozenset({GitEventKind.CREATE_TAG, GitEventKind.DELETE_TAG})
#: Parameters of `co.Image` that a section may have. The code is always that of the event.
_IMAGE_KEYS = frozenset(
    {
        *("image", "dockerfile_text", "docker_build_args", "docker_auto_workdir"),
        *("install_pip", "install_packages", "install_docker", "name", "shell"),
    }
)
#: Keys of the original that have another name now.
_ALIASES = {"reqs_py": "install_pip", "reqs_packages": "install_packages"}
#: Parameters that need files before the code is cloned.
_LOCAL = frozenset({"dockerfile", "context", "path_map", "install_npm", "reqs_npm"})
_COPIES = frozenset({"copy_repo", "copy_dir", "copy_url", "copy_branch"})
#: At the beginning, a dash would be an option, and a shell interprets the others.
_SAFE = re.compile(r"(?![-#~])[A-Za-z0-9._/@:+=,#%~-]*")
_HEADER = re.compile(r"\[(?P<name>[^]]+)\]")
_OPTION = re.compile(r"(?P<key>[^\s:=#;\[][^:=]*?)\s*[:=]")


#: Returns the paths of the files that an event changed; None: they are not known.
ChangedPaths = Callable[[], Collection[str] | None]


class Duplicate(StrEnum):
    """What happens if a pipeline of the same section and branch is active."""

    SUPPRESS_NEW = "SUPPRESS_NEW"
    ALLOW = "ALLOW"
    SLEEP_OLD = "SLEEP_OLD"
    CANCEL_OLD = "CANCEL_OLD"
    DEFER = "DEFER"


class TriggerConfigError(ValueError):
    """The file is invalid.

    Attributes:
        line: Number of the line, counted from 1.
    """

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Section:
    """A section: what an event launches.

    Attributes:
        command: It prints a serialised tree.
        accepts: The filter.
        patterns: Those of ``paths``, ``branches`` and ``tags``, by key.
        image: Parameters of its image.
    """

    name: str
    line: int
    command: str
    accepts: Filter
    patterns: Mapping[str, NamePatterns] = field(default_factory=dict)
    duplicate: Duplicate = Duplicate.SUPPRESS_NEW
    slack_channel: str | None = None
    image: Mapping[str, Any] = field(default_factory=dict)

    def why_not(self, event: GitEvent, changed: ChangedPaths) -> str | None:
        """Return why an event does not launch the section, or None if it does.

        ``changed`` is called if the section has ``paths``. Unknown files are no reason: no commit
        is left untested because of them.
        """
        if not self.accepts(values_of(event)):
            return f"the filter of [{self.name}] does not match"
        for key in ("branches", "tags"):
            known, name = self.patterns.get(key), event.base_branch or event.branch
            if known is not None and not known.accept(name):
                return f"{key} of [{self.name}] do not include {name}"
        paths = self.patterns.get("paths")
        files = None if paths is None else changed()
        if paths is not None and files is not None and not paths.accept_one(files):
            return f"paths of [{self.name}] include none of the {len(files):,} changed files"
        return None

    def command_for(self, event: GitEvent) -> str:
        """Return the command for an event.

        Raises:
            TriggerConfigError: A value has characters that have a meaning in a shell.
        """
        values = values_of(event)
        for _, name, _, _ in Formatter().parse(self.command):
            if name is not None and not _SAFE.fullmatch(values[name]):
                raise TriggerConfigError(
                    self.line,
                    f"[{self.name}] the value of {{{name}}}, {values[name]!r}, has characters that "
                    "a shell or a command would interpret; use the variable "
                    f"CONDUCTO_TRIGGER_{name.upper()}",
                )
        return self.command.format(**values)


def values_of(event: GitEvent) -> dict[str, str]:
    """Return the values of `NAMES` for an event."""
    found = {name: str(getattr(event, name)) for name in NAMES if hasattr(event, name)}
    is_tag = event.kind in _OF_TAGS
    return {**found, "event": event.kind.value, "tag": event.branch if is_tag else ""}


def variables_of(event: GitEvent) -> dict[str, str]:
    """Return the environment variables of the command for an event."""
    return {f"CONDUCTO_TRIGGER_{name.upper()}": value for name, value in values_of(event).items()}


def section_of(command: str) -> Section:
    """Return the section of a generic trigger; raises `TriggerConfigError`."""
    _check_command(command, 1)
    return Section("generic", 1, command, lambda _values: True)


def sections_for(sections: Mapping[str, Section], event: GitEvent) -> list[Section]:
    """Return the sections that an event may launch, in order; the first that launches is used."""
    if event.kind is GitEventKind.COMMENT:
        return _sections_of_comment(sections, event)
    exact = sections.get(event.kind.value)
    if exact is not None:
        return [exact]
    return [each for name, each in sections.items() if name.startswith(f"{event.kind.value} ")]


def _sections_of_comment(sections: Mapping[str, Section], event: GitEvent) -> list[Section]:
    """Return the section that a comment ``/conducto run [NAME]`` names.

    Without a name it is ``[comment]``, or else those of pull requests.
    """
    name = event.text.partition(" ")[2].strip()
    chosen = sections.get(f"comment {name}".strip())
    if chosen is not None or name:
        return [] if chosen is None else [chosen]
    of_request = event.model_copy(update={"kind": GitEventKind.PULL_REQUEST})
    return sections_for(sections, of_request)


def parse_config(text: str) -> dict[str, Section]:
    """Return the sections of the file, by name.

    Raises:
        TriggerConfigError: The file is invalid.
    """
    lines = dict(_lines(text))
    # Values that refer to each other could make a small file grow exponentially.
    config = ConfigParser(strict=True, interpolation=None)
    try:
        config.read_string(text)
    except MissingSectionHeaderError as error:
        raise TriggerConfigError(error.lineno, "write a section such as [push] first") from error
    except ParsingError as error:
        number = error.errors[0][0]
        raise TriggerConfigError(number, "write 'name = value' or '[section]'") from error
    except ConfigParserError as error:
        raise TriggerConfigError(getattr(error, "lineno", 1) or 1, _summary(error)) from error
    return {
        name: _section(name, dict(config.items(name)), lines)
        for name in config.sections()
        if not _is_general(name, config, lines)
    }


def config_schema() -> dict[str, Any]:
    """Return the JSON schema of the file, with sections as objects and values of JSON as values.

    Commands and filters are not checked in it: they have a grammar of their own.
    """
    text = {"type": "string"}
    anything = {"description": "JSON, or text"}
    patterns = {"description": "patterns with *, separated by spaces or as a list; ! excludes"}
    image = dict.fromkeys(sorted(_IMAGE_KEYS | _ALIASES.keys()), anything)
    section = {
        "type": "object",
        "required": ["command"],
        "properties": {
            "command": {**text, "pattern": r"\S", "description": "prints a serialised tree"},
            "filter": {**text, "description": "{branch} == main && !({user} == *-bot)"},
            "duplicate": {"enum": [*map(str, Duplicate)]},
            **dict.fromkeys(_PATTERNS, patterns),
            "slack_channel": text,
            **image,
        },
        "additionalProperties": False,
    }
    events = "|".join(sorted(SECTION_KINDS))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": ".conducto.cfg",
        "description": "The sections that events of a git repository launch.",
        "type": "object",
        "properties": {
            _GENERAL: {
                "type": "object",
                "properties": dict.fromkeys(sorted(_GENERAL_KEYS), text),
                "additionalProperties": False,
            }
        },
        "patternProperties": {f"^({events})( .*)?$": section},
        "additionalProperties": False,
    }


def _summary(error: ConfigParserError) -> str:
    kind = type(error).__name__.removesuffix("Error")
    if kind == "DuplicateOption":
        return f"{getattr(error, 'option', '')!r} is given twice in one section"
    if kind == "DuplicateSection":
        return f"the section [{getattr(error, 'section', '')}] exists twice"
    return str(error).partition("\n")[0]


_Lines = Mapping[tuple[str, str], int]


def _lines(text: str) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield ``((section, option), number)``; the option of a header is ""."""
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        option = _OPTION.match(line)
        if header:
            section = header["name"]
            yield (section, ""), number
        elif option:
            yield (section, option["key"].lower()), number


def _is_general(name: str, config: ConfigParser, lines: _Lines) -> bool:
    if name != _GENERAL:
        return False
    for key in config.options(name):
        if key not in _GENERAL_KEYS:
            known = ", ".join(sorted(_GENERAL_KEYS))
            raise TriggerConfigError(lines[name, key], f"unknown key {key!r}; known: {known}")
    return True


def _section(name: str, options: Mapping[str, str], lines: _Lines) -> Section:
    here = lines.get((name, ""), 1)
    kind = name.split(" ", maxsplit=1)[0]
    if kind not in SECTION_KINDS:
        known = ", ".join(sorted(SECTION_KINDS))
        raise TriggerConfigError(here, f"unknown event [{name}]; known: {known}")
    if not options.get("command", "").strip():
        raise TriggerConfigError(here, f"[{name}] has no command")
    image: dict[str, Any] = {}
    for key, value in options.items():
        at = lines.get((name, key), here)
        _check_key(key, at)
        if key not in _KEYS:
            image[_ALIASES.get(key, key)] = _image_value(key, value, at)
    command = options["command"].strip()
    _check_command(command, lines.get((name, "command"), here))
    return Section(
        name,
        here,
        command,
        _filter(options.get("filter", "").strip(), lines.get((name, "filter"), here)),
        {
            key: _patterns(GitEventKind(kind), key, options[key], lines.get((name, key), here))
            for key in _PATTERNS
            if key in options
        },
        _duplicate(options.get("duplicate"), lines.get((name, "duplicate"), here)),
        options.get("slack_channel") or None,
        image,
    )


def _check_key(key: str, line: int) -> None:
    if key in _COPIES:
        raise TriggerConfigError(line, f"{key} is not allowed: the code is that of the event")
    if key in _LOCAL:
        text = f"{key} is not allowed: it needs files of a machine; use dockerfile_text"
        raise TriggerConfigError(line, text)
    if key not in _KEYS | _IMAGE_KEYS | _ALIASES.keys():
        known = ", ".join(sorted(_KEYS | _IMAGE_KEYS))
        raise TriggerConfigError(line, f"unknown key {key!r}; known: {known}")


def _check_command(command: str, line: int) -> None:
    try:
        names = [
            (name, form, conversion) for _, name, form, conversion in Formatter().parse(command)
        ]
    except ValueError as error:
        text = f"command: {error}; write {{{{ and }}}} for braces"
        raise TriggerConfigError(line, text) from error
    for name, form, conversion in names:
        if name is not None and (name not in NAMES or form or conversion):
            known = ", ".join(f"{{{each}}}" for each in NAMES)
            text = f"command: there is no value {{{name}}}; known: {known}"
            raise TriggerConfigError(line, f"{text}; write {{{{ and }}}} for braces")


def _image_value(key: str, value: str, line: int) -> Any:
    try:
        return from_json(value)
    except ValueError:
        if value[:1] in ('"', "[", "{"):
            text = f"{key}: the value is not valid JSON"
            raise TriggerConfigError(line, text) from None
        return value


def _filter(text: str, line: int) -> Filter:
    if not text:
        return lambda _values: True
    try:
        return parse_filter(text, NAMES)
    except FilterError as error:
        raise TriggerConfigError(line, f"filter: {error}") from error


def _patterns(kind: GitEventKind, key: str, text: str, line: int) -> NamePatterns:
    of_tags = kind in _OF_TAGS
    if (key == "paths" and kind not in _WITH_FILES) or (key == "tags") != of_tags:
        words = {"paths": "push, pr and merge-group", "tags": "create-tag and delete-tag"}
        where = words.get(key, "events of branches and pull requests")
        raise TriggerConfigError(line, f"{key} is for {where}, not for [{kind}]")
    try:
        return parse_patterns(text.strip(), are_paths=key == "paths")
    except NamePatternError as error:
        raise TriggerConfigError(line, f"{key}: {error}") from error


def _duplicate(text: str | None, line: int) -> Duplicate:
    if text is None:
        return Duplicate.SUPPRESS_NEW
    try:
        return Duplicate(text.strip())
    except ValueError:
        known = ", ".join(Duplicate)
        raise TriggerConfigError(
            line, f"duplicate: unknown value {text!r}; known: {known}"
        ) from None
