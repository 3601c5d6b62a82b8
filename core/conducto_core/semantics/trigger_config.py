"""The file ``.conducto.cfg``: which section of it an event launches, and with which command.

An error names its line, because it becomes the status of the commit.
"""

import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser, MissingSectionHeaderError, ParsingError
from configparser import Error as ConfigParserError
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import Any

from pydantic_core import from_json

from conducto_core.model.triggers import GitEvent, GitEventKind
from conducto_core.semantics.filters import Filter, FilterError, parse_filter

#: Names in braces that commands and filters may use.
NAMES = (
    *("event", "url", "repository", "branch", "sha", "user", "number", "title", "base_branch"),
    "tag",
)
#: Maximum bytes of the file.
MAX_BYTES = 64 << 10
_GENERAL = ".general"
_GENERAL_KEYS = frozenset({"name", "desc", "init"})
_KEYS = frozenset({"command", "filter", "duplicate", "slack_channel"})
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


class Duplicate(StrEnum):
    """What happens if a pipeline of the same section and branch is active."""

    SUPPRESS_NEW = "SUPPRESS_NEW"
    ALLOW = "ALLOW"
    SLEEP_OLD = "SLEEP_OLD"
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
        image: Parameters of its image.
    """

    name: str
    line: int
    command: str
    accepts: Filter
    duplicate: Duplicate = Duplicate.SUPPRESS_NEW
    slack_channel: str | None = None
    image: Mapping[str, Any] = field(default_factory=dict)

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
    is_tag = event.kind in {GitEventKind.CREATE_TAG, GitEventKind.DELETE_TAG}
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
    exact = sections.get(event.kind.value)
    if exact is not None:
        return [exact]
    return [each for name, each in sections.items() if name.startswith(f"{event.kind.value} ")]


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
    if name.split(" ", maxsplit=1)[0] not in set(GitEventKind):
        known = ", ".join(sorted(GitEventKind))
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
