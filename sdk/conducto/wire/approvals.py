"""The wire form of an approval: its message, its deciders and the fields of its form.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from conducto.wire import fields

MAX_MESSAGE = 2_000
MAX_WHO = 50
_MAX_NAME = 63
#: Roles that ``who`` can name; a higher role includes a lower one.
ROLES = ("member", "admin", "owner")
MAX_FIELDS = 20
MAX_CHOICES = 50
#: Maximum characters of a choice, and of a text that a person writes.
MAX_CHOICE = 200
MAX_TEXT = 2_000
FIELD_TYPES = ("text", "integer", "number", "boolean", "choice")
#: Numbers outside of these are not exact in a browser.
_MAX_INTEGER = 2**53 - 1


class Field(NamedTuple):
    """A field of an approval's form, whose value the person who approves gives.

    Attributes:
        type: One of `FIELD_TYPES`.
        choices: The values of a ``choice``.
        default: The value if the person gives none; None: they must give one.
    """

    name: str
    type: str = "text"
    choices: Tuple[str, ...] = ()
    default: Any = None


def check_message(value: Any) -> str:
    """Return ``value`` as the message of an approval.

    Raises:
        ValueError: not text, empty, too long, or with a control character other than a line break.
    """
    text = fields.check_text("message", value)
    if not text.strip():
        raise ValueError("message is empty; write what the person decides about")
    if len(text) > MAX_MESSAGE:
        raise ValueError(f"message has {len(text):,} characters; the maximum is {MAX_MESSAGE:,}")
    for char in text:
        if char < " " and char not in "\n\t":
            raise ValueError(f"message holds the control character {char!r}; remove it")
    return text


def check_who(value: Any) -> List[str]:
    """Return ``value`` as a list of roles and user ids; a text is one of them, None is anyone.

    Raises:
        ValueError: not text or a list of texts, an empty list, too many, or not a name.
    """
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, (list, tuple, set, frozenset)):
        raise ValueError(  # noqa: TRY004  the caller adds the node's path to a ValueError
            f"the parameter who={value!r} is not a role, a user id or a list of them"
        )
    if value is not None and not names:
        raise ValueError(
            "the parameter who= is an empty list; name a role or a user id, or leave it out for "
            "every user with the permission to control the pipeline"
        )
    if len(names) > MAX_WHO:
        raise ValueError(f"the parameter who= has {len(names)} entries; the maximum is {MAX_WHO}")
    for name in names:
        fields.check_text("who", name)
        if not name or name != name.strip() or len(name) > _MAX_NAME:
            raise ValueError(
                f"the parameter who={name!r} is neither a role ({', '.join(ROLES)}) nor a user id"
            )
        if name == "viewer":
            raise ValueError("the role 'viewer' decides nothing; name 'member'")
    return list(names) if isinstance(names, (list, tuple)) else sorted(names)


def check_approval(value: Any) -> Tuple[str, Tuple[str, ...], Tuple[Field, ...]]:
    """Return the message, the deciders and the fields of an approval's wire form.

    Raises:
        ValueError: it is invalid.
    """
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004  as above
            f"approval must have a message, got {value!r}"
        )
    who = value.get("who")  # [] in the wire form is anyone
    message = check_message(value.get("message"))
    return message, tuple(check_who(None if who == [] else who)), _fields(value.get("fields"))


# ---- the form ------------------------------------------------------------------------------------


def to_wire(given: Any) -> List[Dict[str, Any]]:
    """Return the wire form of ``{name: type}``, with the types as an author writes them.

    A type is ``str``, ``int``, ``float`` or ``bool``; a value of one of them, which is the default;
    or a list of choices.

    Raises:
        ValueError: it is invalid.
    """
    if not isinstance(given, Mapping):
        raise ValueError(  # noqa: TRY004  as above
            f"the parameter fields={given!r} is not a dict such as {{'version': str}}"
        )
    made = [{"name": name, **_written(name, each)} for name, each in given.items()]
    _fields(made)
    return made


def _written(name: str, kind: Any) -> Dict[str, Any]:
    if isinstance(kind, (list, tuple)):
        return {"type": "choice", "choices": list(kind)}
    for type_, text in ((str, "text"), (bool, "boolean"), (int, "integer"), (float, "number")):
        if kind is type_:
            return {"type": text}
        if isinstance(kind, type_):
            return {"type": text, "default": kind}
    raise ValueError(
        f"the field {name!r} of the approval has the type {kind!r}; write str, int, float or bool, "
        "a default value of one of them, or a list of choices"
    )


def _fields(written: Any) -> Tuple[Field, ...]:
    if written is None:
        return ()
    if not isinstance(written, (list, tuple)):
        raise ValueError(  # noqa: TRY004  as above
            f"the fields of an approval must be a list, got {written!r}"
        )
    if len(written) > MAX_FIELDS:
        raise ValueError(f"the approval has {len(written)} fields; the maximum is {MAX_FIELDS}")
    found = tuple(_field(each) for each in written)
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the approval has the field {name!r} twice; rename one of them")
    return found


def _field(written: Any) -> Field:
    if not isinstance(written, Mapping) or not written.keys() <= set(Field._fields):
        raise ValueError(f"a field of an approval must have a name and a type, got {written!r}")
    name, type_ = written.get("name"), written.get("type", "text")
    if not isinstance(name, str) or not name.isidentifier() or len(name) > _MAX_NAME:
        raise ValueError(
            f"the field {name!r} of the approval has no valid name; use letters, digits and '_', "
            f"at most {_MAX_NAME}"
        )
    if type_ not in FIELD_TYPES:
        raise ValueError(
            f"the field {name!r} has the type {type_!r}; possible are {', '.join(FIELD_TYPES)}"
        )
    choices = _choices(name, written.get("choices") or (), type_)
    field = Field(name, type_, choices)
    default = written.get("default")
    return field if default is None else field._replace(default=_value(field, default))


def _choices(name: str, choices: Any, type_: str) -> Tuple[str, ...]:
    if (type_ == "choice") != bool(choices):
        raise ValueError(
            f"the field {name!r} of the approval has no choices; list at least one"
            if type_ == "choice"
            else f"the field {name!r} has choices, but the type {type_!r}; write 'choice'"
        )
    if not isinstance(choices, (list, tuple)) or len(choices) > MAX_CHOICES:
        raise ValueError(f"the choices of {name!r} must be a list of at most {MAX_CHOICES} texts")
    for choice in choices:
        fields.check_text(f"the choice of {name}", choice)
        if not choice.strip() or len(choice) > MAX_CHOICE:
            raise ValueError(
                f"the choice {choice!r} of {name!r} must have 1 to {MAX_CHOICE} characters"
            )
    return tuple(dict.fromkeys(choices))


def check_values(form: Iterable[Field], given: Mapping[str, Any]) -> Dict[str, Any]:
    """Return the values of a form, complete; a text is read as a value of the field's type.

    Raises:
        ValueError: a value is missing, unknown or of another type.
    """
    known = {field.name: field for field in form}
    for name in given:
        if name not in known:
            fields_ = f"its fields are {', '.join(known)}" if known else "it asks for no values"
            raise ValueError(f"the approval has no field {name!r}; {fields_}")
    found = {}
    for name, field in known.items():
        value = given.get(name)
        if value is None or (value == "" and field.default != ""):
            value = field.default
        if value is None:
            raise ValueError(f"{name} has no value; give {described(field)}")
        found[name] = _value(field, value)
    return found


def described(field: Field) -> str:
    """Return the values that a field can have, in words: ``one of eu, us``."""
    if field.type == "choice":
        return f"one of {', '.join(field.choices)}"
    words = {
        "text": f"a text of at most {MAX_TEXT:,} characters",
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
    }
    return words[field.type]


def _value(field: Field, given: Any) -> Any:
    """Return a value of the field's type."""
    value = _read(field.type, given) if isinstance(given, str) else given
    if not _fits(field, value):
        raise ValueError(f"{field.name}={given!r} is not valid; give {described(field)}")
    return value


def _read(type_: str, text: str) -> Any:
    """Return the value that a text stands for, or None if it stands for none."""
    try:
        if type_ == "integer":
            return int(text)
        if type_ == "number":
            return float(text)
    except ValueError:
        return None
    if type_ == "boolean":
        return {"true": True, "false": False}.get(text.strip().lower())
    return text


def _fits(field: Field, value: Any) -> bool:
    if field.type == "boolean":
        return isinstance(value, bool)
    if field.type == "choice":
        return value in field.choices
    if field.type == "text":
        return isinstance(value, str) and len(value) <= MAX_TEXT and _is_plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if field.type == "integer":
        return isinstance(value, int) and abs(value) <= _MAX_INTEGER
    return math.isfinite(value)


def _is_plain(text: str) -> bool:
    """Return whether a text has no half characters and no control characters except breaks."""
    return not any(
        "\ud800" <= char <= "\udfff" or (char < " " and char not in "\n\t") for char in text
    )


def check_outside_contexts(above: Iterable[Tuple[str, Optional[str]]]) -> None:
    """Check that no node above an approval keeps a container while the approval waits.

    Args:
        above: ``(path, container_reuse_context)`` of the node and of those above it.

    Raises:
        ValueError: one of them has the context ``new``.
    """
    for path, context in above:
        if context == fields.NEW:
            raise ValueError(
                f"an approval cannot be inside {path} with container_reuse_context=NEW: its "
                "container would be kept, and in the cloud paid for, until a person decides; move "
                "the approval out of the group"
            )
