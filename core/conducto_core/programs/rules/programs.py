"""Programs that are launched again: their recorded calls, and checks of new arguments.

The checks are those that need no code of the script; the script itself checks everything.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final, NamedTuple, Protocol

from pydantic import ValidationError
from pydantic_core import from_json

from conducto_core.errors import invalid
from conducto_core.programs.model import ProgramCall, ProgramParameter
from conducto_core.run.model.params import ProgramParams
from conducto_core.run.model.records import PipelineRecord

#: Maximum number of arguments in a pipeline's record, and of characters of each.
MAX_RECORDED: Final = 50
MAX_SHOWN: Final = 200

#: The parameter that gets a partition. A program without it gets the newest one.
PARTITION: Final = "partition"

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_NONE = "None"
_DURATION = re.compile(r"[+-]?(\d+(\.\d+)?|(\d+(\.\d+)?(us|ms|[wdhms]))+)", re.ASCII)
_NOT_STORED = (
    "was given at the launch or has no default, and its name is that of a secret, so it is not "
    "stored; launch the script in a terminal, or pass the value as a secret of Conducto"
)


def call_of(form: Mapping[str, Any]) -> ProgramCall | None:
    """Return the recorded call in a launch form, if any.

    Raises:
        DefinitionError: it is invalid.
    """
    recorded = form.get("call")
    if recorded is None:
        return None
    try:
        return ProgramCall.model_validate(recorded)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise invalid(None, f"the record of the program's call: {place}: {first['msg']}") from None


def made_by(recorded: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the function and the arguments of a recorded call, as in a pipeline's record."""
    call = ProgramCall.model_validate(recorded)
    return call.function, shortened_arguments(call)


def shortened_arguments(call: ProgramCall) -> dict[str, str]:
    """Return the arguments of a call for lists, with the defaults: of a limited size."""
    given = effective(call, call.arguments)
    if call.rest:
        given["*"] = " ".join(call.rest)
    return {
        name: word if len(word) <= MAX_SHOWN else f"{word[: MAX_SHOWN - 1]}…"
        for name, word in list(given.items())[:MAX_RECORDED]
    }


def title_of(form: Mapping[str, Any]) -> str | None:
    """Return the title of a launch form, valid or not, if its root has one."""
    nodes = form.get("nodes")
    root = nodes[0] if isinstance(nodes, list) and nodes else None
    title = root.get("title") if isinstance(root, Mapping) else None
    return title if isinstance(title, str) and title else None


def effective(call: ProgramCall, arguments: Mapping[str, str]) -> dict[str, str]:
    """Return the arguments with the defaults of the others."""
    defaults = {one.name: one.default for one in call.parameters if one.default is not None}
    return {**defaults, **arguments}


def argument_problems(call: ProgramCall, arguments: Mapping[str, str]) -> dict[str, str]:
    """Return ``{parameter: reason}`` of the arguments that the function cannot be called with."""
    known = {one.name: one for one in call.parameters}
    found = {}
    for name, word in arguments.items():
        one = known.get(name)
        if one is None:
            names = ", ".join(known) or "none"
            found[name] = f"{call.function} has no parameter {name!r}; its parameters are {names}"
        elif one.secret:
            found[name] = _NOT_STORED
        elif (reason := word_problem(one.type, word)) is not None:
            found[name] = reason
    for one in call.parameters:
        if one.name in arguments:
            continue
        if one.secret and (one.required or one.name in call.withheld):
            found[one.name] = _NOT_STORED
        elif one.required and not (one.name == PARTITION and call.partitions is not None):
            found[one.name] = "needs a value"
    return found


def word_problem(schema: Mapping[str, Any], word: str) -> str | None:
    """Return the reason why a word does not fit a type, or None."""
    if "\0" in word:
        return "has a NUL character"
    if "anyOf" in schema:
        reasons = [word_problem(each, word) for each in schema["anyOf"]]
        return None if None in reasons else next(r for r in reasons if r is not None)
    if "enum" in schema:
        choices = [str(each) for each in schema["enum"]]
        return None if word in choices else f"must be one of {', '.join(choices)}"
    if schema.get("type") == "array":
        items = schema.get("items", {})
        for place, item in enumerate(list_items(word), start=1):
            reason = word_problem(items, item)
            if reason is not None:
                return f"item {place} {reason}"
        return None
    check, expected = _CHECKS.get(schema.get("format") or schema.get("type") or "", (None, ""))
    return None if check is None or _accepts(check, word) else f"must be {expected}, got {word!r}"


def list_items(word: str) -> list[str]:
    """Return the items of a list: of a JSON array, or between commas that are not escaped."""
    if word.startswith("["):
        try:
            data = from_json(word)
        except ValueError:
            data = None
        if isinstance(data, list):
            return [item if isinstance(item, str) else json.dumps(item) for item in data]
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", word)] if word else []


def _accepts(check: Callable[[str], object], word: str) -> bool:
    try:
        return check(word) is not False
    except (ValueError, OverflowError):
        return False


def _is_time(read: Callable[[str], object]) -> Callable[[str], object]:
    return lambda word: read(word.removesuffix("Z"))


_CHECKS: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "integer": (int, "a whole number"),
    "number": (lambda word: math.isnan(float(word)) or True, "a number"),
    "boolean": (lambda word: word.lower() in (*_TRUE, *_FALSE), "true or false"),
    "null": (lambda word: word == _NONE, _NONE),
    "date": (date.fromisoformat, "a date such as 2026-01-31"),
    "date-time": (_is_time(datetime.fromisoformat), "a time such as 2026-01-31T18:30"),
    "time": (_is_time(time.fromisoformat), "a time such as 18:30"),
    "duration": (lambda word: bool(_DURATION.fullmatch(word)), "a duration such as 1h30m"),
}


def words_of(call: ProgramCall, arguments: Mapping[str, str], rest: Sequence[str]) -> list[str]:
    """Return the words of a command line for arguments without problems."""
    known = {one.name: one for one in call.parameters}
    placed = [one.name for one in call.parameters if not one.keyword_only] if rest else []
    in_order = [arguments[name] for name in placed if name in arguments]
    named = [
        _named(name, word, known.get(name))
        for name, word in arguments.items()
        if name not in placed
    ]
    return [*in_order, *rest, *named]


def flag_of(call: ProgramCall, name: str) -> str:
    """Return the spelling of a flag with which it does not set a parameter of the function."""
    plain = name.replace("-", "_")
    taken = {one.name for one in call.parameters} & {plain, plain.removeprefix("no_")}
    return f"--conducto.{name}" if taken else f"--{name}"


def _named(name: str, word: str, parameter: ProgramParameter | None) -> str:
    plain = name.replace("_", "-")
    if parameter is not None and _is_switch(parameter.type) and word != _NONE:
        return f"--{plain}" if word.lower() in _TRUE else f"--no-{plain}"
    return f"--{plain}={word}"


def _is_switch(schema: Mapping[str, Any]) -> bool:
    members = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    return [each.get("type") for each in members] == ["boolean"]


# ----------------------------------------------------------------------------------------
# The identity of a program: decides which pipelines belong together.
#
# An automatic title has the arguments of the call, and a user may give any title. So a program is
# its script and function where both are recorded, and its title and script otherwise. The web app
# has the same rule (``programKey``).


class ProgramKey(NamedTuple):
    """Identifies a program.

    Attributes:
        title: Title of its pipelines; None if script and function identify it.
        program: Host path of its script, if known.
        function: Its function; None if the title identifies it.
    """

    title: str | None
    program: str | None
    function: str | None


class HasProgram(Protocol):
    """A record of a pipeline with the fields that identify its program."""

    @property
    def title(self) -> str:
        """Return the title of the pipeline."""

    @property
    def program(self) -> str | None:
        """Return the host path of its script, if known."""

    @property
    def function(self) -> str | None:
        """Return the function that made its tree, if known."""


def program_key(record: HasProgram) -> ProgramKey:
    """Return the program of a pipeline."""
    if record.program is None or record.function is None:
        return ProgramKey(record.title, record.program, None)
    return ProgramKey(None, record.program, record.function)


def program_of(record: HasProgram) -> ProgramParams:
    """Return the program of a pipeline as a query for its pipelines."""
    key = program_key(record)
    return ProgramParams(
        title=key.title or record.title, program=key.program, function=key.function
    )


def tested_program(record: PipelineRecord) -> ProgramParams:
    """Return the program whose tests a pipeline runs.

    The titles of pipelines of a trigger have the pull request or the branch. All pipelines of its
    repository run the same tests.
    """
    if record.git is None or not record.git.trigger:
        return program_of(record)
    return ProgramParams(title=record.git.repository, program=record.git.repository)


def is_of_program(record: HasProgram, params: ProgramParams | ProgramKey) -> bool:
    """Return whether a pipeline is of the requested program."""
    if params.function is not None:
        return program_key(record) == (None, params.program, params.function)
    return record.title == params.title and params.program in (None, record.program)
