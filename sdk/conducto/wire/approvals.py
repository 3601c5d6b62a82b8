"""The wire form of an approval: its message and its deciders.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping, Optional, Tuple

from conducto.wire import fields

MAX_MESSAGE = 2_000
MAX_WHO = 50
_MAX_NAME = 63
#: Roles that ``who`` can name; a higher role includes a lower one.
ROLES = ("member", "admin", "owner")


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


def check_approval(value: Any) -> Tuple[str, Tuple[str, ...]]:
    """Return the message and the deciders of an approval's wire form.

    Raises:
        ValueError: it is invalid.
    """
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004  as above
            f"approval must have a message, got {value!r}"
        )
    who = value.get("who")  # [] in the wire form is anyone
    return check_message(value.get("message")), tuple(check_who(None if who == [] else who))


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
