"""The rules of events: paths into payloads, masks, and the values that a program gets.

A path is a subset of JSONPath that names one value, such as ``$.detail.items[0]["order id"]``.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from conducto_core.errors import RefusedError, invalid
from conducto_core.events.model import ACCOUNT_SOURCES, MAX_PAYLOAD, Event, EventOrigin, EventRule
from conducto_core.events.rules.patterns import PatternError, parse_pattern
from conducto_core.events.rules.queues import check_queue_rule
from conducto_core.programs.model import ProgramCall
from conducto_core.programs.rules.programs import argument_problems, words_of
from conducto_core.schedules.model import GitSource, Schedule, ScriptSource

#: Stands for masked values.
MASKED: Final = "***"
_STEP = re.compile(r"""\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\[("(?:[^"\\]|\\.)*"|'[^'\\]*')\]""")
_ABSENT: Final = object()
#: Sources whose events are about the pipelines of all organisations of an installation.
_OWN_SOURCES: Final = ("aws.ecs", "aws.states", "aws.codebuild", "aws.lambda", "aws.events")

_NO_QUEUE: Final = (None, 10, 5)

Step = str | int


def steps_of(path: str) -> tuple[Step, ...]:
    """Return the names and numbers of a path.

    >>> steps_of('$.items[0]["order id"]')
    ('items', 0, 'order id')

    Raises:
        DefinitionError: The path is invalid; the message has the place.
    """
    if not path.startswith("$"):
        raise invalid(None, f"path {path!r}: character 1: expected '$', the payload as a whole")
    place, found = 1, []
    while place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            raise invalid(
                None,
                f'path {path!r}: character {place + 1}: expected .name, [0] or ["a name"]; '
                "filters and wildcards are not supported",
            )
        name, number, quoted = match.groups()
        found.append(name or (int(number) if number else _unquoted(quoted)))
        place = match.end()
    return tuple(found)


def _unquoted(text: str) -> str:
    return str(json.loads(text)) if text.startswith('"') else text[1:-1]


def _value(steps: Sequence[Step], payload: Any) -> Any:
    """Return the value at a path, or `_ABSENT`."""
    for step in steps:
        is_name = isinstance(step, str) and isinstance(payload, Mapping) and step in payload
        if not is_name and not (isinstance(step, int) and _has_item(payload, step)):
            return _ABSENT
        payload = payload[step]
    return payload


def _has_item(payload: Any, number: int) -> bool:
    return isinstance(payload, list) and number < len(payload)


def masked(rule: EventRule, payload: Any) -> Any:
    """Return a copy of a payload in which the values at the paths to redact are masked.

    The paths of a queue are those of each message.
    """
    copy = json.loads(json.dumps(payload))
    if rule.source != "sqs":
        return _masked(rule.redact, copy)
    messages = _value(("messages",), copy)
    if isinstance(messages, list):
        copy["messages"] = [_masked(rule.redact, message) for message in messages]
    return copy


def _masked(paths: Sequence[str], copy: Any) -> Any:
    for path in paths:
        *above, last = steps_of(path) or ("",)
        parent = _value(above, copy)
        if path == "$":
            return MASKED
        if parent is not _ABSENT and _value((last,), parent) is not _ABSENT:
            parent[last] = MASKED
    return copy


def size_problem(payload: Any) -> str | None:
    """Return why a payload is too large to be stored, or None."""
    size = len(json.dumps(payload, ensure_ascii=False).encode())
    if size <= MAX_PAYLOAD:
        return None
    return (
        f"the payload has {size:,} bytes, the maximum is {MAX_PAYLOAD:,}; send the address of the "
        "data instead"
    )


def check_rule(rule: EventRule, *, local: bool) -> None:
    """Check the paths, the pattern and the fields of an event rule.

    Raises:
        DefinitionError: One is invalid.
    """
    for path in (*rule.parameters.values(), *rule.redact):
        steps_of(path)
    _check_parameters(rule)
    for source, field in (("s3", "bucket"), ("eventbridge", "pattern"), ("watch", "directory")):
        if (rule.source == source) != (getattr(rule, field) is not None):
            raise invalid("on", f"{field} is needed for {source}, and only for it")
    if rule.source == "sqs":
        check_queue_rule(rule)
    elif (rule.queue, rule.batch, rule.batch_seconds) != _NO_QUEUE:
        raise invalid("on", "queue, batch and batch_seconds are for sqs")
    if rule.source != "s3" and (rule.prefix or rule.suffix):
        raise invalid("on", "prefix and suffix are for s3")
    if rule.source in (ACCOUNT_SOURCES if local else ("watch",)):
        where = "in the cloud only" if local else "on the machine of an agent only"
        raise invalid("on", f"{rule.source} is {where}")
    if rule.pattern is not None:
        _check_pattern(rule.pattern)
    if rule.directory is not None and not rule.directory.startswith("/"):
        raise invalid("on", f"the directory must be an absolute path, got {rule.directory!r}")


def _check_parameters(rule: EventRule) -> None:
    if rule.parameters and rule.call is None:
        raise invalid("on", "parameters are those of a program: name it with --program PIPELINE")
    known = {one.name: one for one in rule.call.parameters} if rule.call else {}
    for name in rule.parameters:
        if name not in known:
            names = ", ".join(known) or "none"
            raise invalid(
                "on", f"the program has no parameter {name!r}; its parameters are {names}"
            )
        if known[name].secret:
            raise invalid(
                "on", f"the parameter {name!r} has the name of a secret, which no payload may give"
            )


def _check_pattern(text: str) -> None:
    try:
        pattern = parse_pattern(text)
    except PatternError as error:
        raise invalid("on", f"the event pattern is invalid: {error}") from error
    sources = pattern.get("source")
    if not sources or not all(isinstance(one, str) for one in sources):
        raise invalid(
            "on", 'the event pattern needs whole sources, such as "source": ["acme.shop"]'
        )
    own = [one for one in sources if one in _OWN_SOURCES]
    if own:
        raise invalid(
            "on", f"events of {own[0]} are about the pipelines of all organisations; choose others"
        )


def pattern_of(rule: EventRule) -> dict[str, Any] | None:
    """Return the event pattern of a rule; None if its events do not come from EventBridge."""
    if rule.source == "eventbridge":
        return parse_pattern(rule.pattern or "")
    if rule.source != "s3":
        return None
    detail: dict[str, Any] = {"bucket": {"name": [rule.bucket]}}
    if rule.prefix or rule.suffix:
        first, last = (re.sub(r"([*\\])", r"\\\1", one) for one in (rule.prefix, rule.suffix))
        detail["object"] = {"key": [{"wildcard": f"{first}*{last}"}]}
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}


# ---- what a payload launches ---------------------------------------------------------------------


class Arguments(NamedTuple):
    """The arguments of a program that a payload gives, and why some do not fit."""

    words: dict[str, str]
    problems: dict[str, str]


def arguments_of(rule: EventRule, payload: Any) -> Arguments:
    """Return the arguments of the program of a rule; a value that is missing gives none."""
    if rule.call is None:
        return Arguments({}, {})
    values = {name: _value(steps_of(path), payload) for name, path in rule.parameters.items()}
    given = {name: _word(value) for name, value in values.items() if value is not _ABSENT}
    kept = {name: word for name, word in rule.call.arguments.items() if name not in values}
    problems = argument_problems(rule.call, {**kept, **given})
    about = {
        name: f"{why} (the payload has {'' if name in given else 'no value at '}{path})"
        for name, path in rule.parameters.items()
        if (why := problems.get(name)) is not None
    }
    return Arguments({**kept, **given}, {**problems, **about})


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


def with_arguments(schedule: Schedule, payload: Any) -> Schedule:
    """Return a trigger whose program is called with the values of a payload.

    Raises:
        RefusedError: They do not fit the parameters of the program.
    """
    rule, what = schedule.on, schedule.what
    if rule is None or rule.call is None:
        return schedule
    arguments, problems = arguments_of(rule, payload)
    if problems:
        found = "; ".join(f"{name} {why}" for name, why in problems.items())
        raise RefusedError(f"the payload does not fit: {found}")
    words = words_of(rule.call, arguments, rule.call.rest)
    if isinstance(what, ScriptSource):
        what = what.model_copy(update={"command": (*what.command, *words)})
    elif isinstance(what, GitSource):
        what = what.model_copy(update={"command": shlex.join([*shlex.split(what.command), *words])})
    return schedule.model_copy(update={"what": what})


def git_source(call: ProgramCall, image: str | None) -> GitSource:
    """Return the program of a call in its repository, without arguments.

    Raises:
        RefusedError: Its script was not in a repository.
    """
    where = call.repository
    if where is None:
        raise RefusedError(
            f"the script {call.script} was not in a Git repository when it was launched, so the "
            "cloud cannot run it; launch it once from a clone, with the commit pushed"
        )
    short = re.fullmatch(
        r"[\w.-]+@([\w.-]+):(?!/)(.+)|ssh://(?:[\w.-]+@)?([\w.-]+)[^/]*/(.+)", where.url
    )
    host, path = [one for one in short.groups() if one] if short else ("", "")
    fields = {} if image is None else {"image": image}
    return GitSource(
        kind="git",
        url=f"https://{host}/{path}" if short else where.url,
        ref=where.branch or where.commit,
        command=shlex.join(("python", where.path, *call.command[2:])),
        **fields,
    )


# ---- the identity of events ----------------------------------------------------------------------

_ATTRIBUTES: Final = ("id", "source", "type")


def origin_of(event: Event) -> EventOrigin:
    """Return the stored identity of an event."""
    mark = sha256(f"{event.source}\0{event.key}".encode()).hexdigest()[:32]
    return EventOrigin(mark=mark, id=event.id, source=event.source, type=event.type)


def webhook_event(headers: Mapping[str, str], body: Any, identity: str) -> Event:
    """Return the event of a webhook; a CloudEvent in binary mode becomes a structured one.

    Args:
        headers: They have lower-case names.
        body: The parsed JSON.
        identity: Identifies the webhook if it is not a CloudEvent.
    """
    if "ce-specversion" in headers:
        body = {**dict(_binary(headers)), "data": body}
    if not isinstance(body, dict) or "specversion" not in body:
        return Event(key=identity, payload=body)
    found = {name: str(body.get(name, ""))[:200] for name in _ATTRIBUTES}
    key = f"id:{body['id']}" if body.get("id") else identity
    return Event(key=key, payload=body, **found)


def _binary(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.startswith("ce-"):
            yield name.removeprefix("ce-"), value
    if "content-type" in headers:
        yield "datacontenttype", headers["content-type"]


def bus_event(event: Mapping[str, Any]) -> Event:
    """Return an event of EventBridge, whose payload is the whole event."""
    source, kind = str(event.get("source", "")), str(event.get("detail-type", ""))
    id_ = str(event.get("id", ""))
    return Event(key=f"id:{id_}", id=id_, source=source, type=kind, payload=dict(event))
