"""Automatic retries with a delay: `Retry`, and the checks of its wire form.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import math
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

from conducto.wire.fields import parse_duration

MAX_RETRIES = 100
MAX_BACKOFF = 100.0
#: A week, in seconds.
MAX_DELAY = 604_800.0
MAX_EXIT_CODE = 255
#: Causes of failures that another attempt may not have.
CAUSES = ("exit_code", "timeout", "out_of_memory", "worker_lost")


class Retry(NamedTuple):
    """The automatic retries of a command; `retry` checks the values.

    Attributes:
        number: Maximum number of retries; 0 for none.
        delay: Seconds before the first retry.
        backoff: Factor of each further delay.
        jitter: Maximum part of a delay by which it is longer or shorter, 0 to 1.
        max_delay: Maximum seconds of a delay.
        on: Exit codes and causes of the failures that are retried; None for every failure.
    """

    number: int
    delay: float
    backoff: float
    jitter: float
    max_delay: float
    on: Optional[Tuple[Union[int, str], ...]]

    def __str__(self) -> str:
        """Return the policy in words."""
        words = [str(self.number)]
        if self.delay:
            words.append(
                f"after {self.delay:g}s, times {self.backoff:g}, at most {self.max_delay:g}s"
            )
        if self.jitter:
            words.append(f"jitter {self.jitter:g}")
        if self.on is not None:
            words.append("on " + " ".join(map(str, self.on)))
        return ", ".join(words)

    def to_wire(self) -> Dict[str, Any]:
        """Return the wire form."""
        return dict(self._asdict(), on=None if self.on is None else list(self.on))


def retry(
    number: int,
    *,
    delay: Union[float, str] = 0,
    backoff: float = 1,
    jitter: float = 0,
    max_delay: Union[float, str] = 3600,
    on: Optional[Iterable[Union[int, str]]] = None,
) -> Retry:
    """Return a policy of automatic retries for the node parameter ``retry``.

    Args:
        number: Maximum number of retries; 0 ends those that a node inherits.
        delay: Seconds before the first retry, or a text such as ``"1m"``. Meanwhile the command
            occupies no container.
        backoff: Factor of each further delay: 2 doubles it.
        jitter: Maximum part of a delay by which it is longer or shorter: 0.2 is a fifth.
        max_delay: Maximum delay, in seconds or as a text.
        on: Exit codes, and causes of ``"exit_code"``, ``"timeout"``, ``"out_of_memory"`` and
            ``"worker_lost"``, that are retried; by default every failure that another attempt may
            not have. With ``"worker_lost"``, the policy replaces ``retry_lost``.

    Raises:
        ValueError: a value is invalid.
    """
    return Retry(
        _check_number(number),
        0.0 if delay == 0 and not isinstance(delay, bool) else _duration("delay", delay),
        _between("backoff", backoff, 1, MAX_BACKOFF),
        _between("jitter", jitter, 0, 1),
        _duration("max_delay", max_delay),
        None if on is None else _check_on(on),
    )


def to_retry(value: Any) -> Retry:
    """Return a policy or its wire form as a policy.

    Raises:
        ValueError: it is anything else.
    """
    if isinstance(value, Retry):
        return value
    if (
        not isinstance(value, Mapping)
        or "number" not in value
        or not set(value) <= set(Retry._fields)
    ):
        raise ValueError(f"retry must be co.retry(...), got {value!r}")
    return retry(**value)


def _check_number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise ValueError(
            f"retry: number must be a whole number from 0 to {MAX_RETRIES}, got {value!r}"
        )
    return value


def _duration(name: str, value: Any) -> float:
    seconds = parse_duration(value, f"retry: {name}")
    if seconds > MAX_DELAY:
        raise ValueError(f"retry: {name} is at most a week, got {value!r}")
    return seconds


def _between(name: str, value: Any, least: float, most: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not least <= value <= most:
        raise ValueError(
            f"retry: {name} must be a number from {least:g} to {most:g}, got {value!r}"
        )
    return float(value)


def _check_on(value: Any) -> Tuple[Union[int, str], ...]:
    given = (value,) if isinstance(value, (str, int)) else value
    try:
        found = tuple(given)
    except TypeError:
        raise ValueError(f"retry: on must be a list, got {value!r}") from None
    if not found:
        raise ValueError("retry: on is empty, so nothing would be retried; omit it, or name causes")
    for each in found:
        code = isinstance(each, int) and not isinstance(each, bool) and 1 <= each <= MAX_EXIT_CODE
        if not code and each not in CAUSES:
            raise ValueError(
                f"retry: on has exit codes from 1 to {MAX_EXIT_CODE}, and causes "
                f"({', '.join(CAUSES)}); got {each!r}"
            )
    return found
