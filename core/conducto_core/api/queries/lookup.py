"""Lookup by name, with an error that lists the known names."""

from collections.abc import Iterable, Sequence

from conducto_core.errors import NotFoundError, RefusedError
from conducto_core.model.records import AttemptRecord

#: Maximum number of pipelines named in an error about an ambiguous id.
_NAMED = 5


def resolve_id(given: str, known: Iterable[str]) -> str:
    """Return the id of the pipeline whose id is, or unambiguously starts with, ``given``.

    Raises:
        NotFoundError: there is none.
        RefusedError: there are several.
    """
    found = sorted(each for each in known if given and each.startswith(given))
    if given in found:
        return given
    if not found:
        raise NotFoundError(f"no pipeline {given!r}; 'conducto list' lists them")
    if len(found) > 1:
        more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        named = ", ".join(found[:_NAMED])
        raise RefusedError(f"{given!r} could be any of {named}{more}; give more of the id")
    return found[0]


def chosen_attempt(
    path: str, attempts: Sequence[AttemptRecord], number: int | None
) -> AttemptRecord | None:
    """Return the requested attempt, by default the newest; None if there is none yet.

    Raises:
        NotFoundError: there is no attempt of that number.
    """
    known = {attempt.number: attempt for attempt in attempts}
    if number is not None and number not in known:
        numbers = ", ".join(map(str, known)) or "none"
        raise NotFoundError(f"{path}: no attempt {number} (there are: {numbers})", path)
    return known[max(known) if number is None else number] if known else None
