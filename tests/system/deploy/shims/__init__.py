"""Features of AWS that an installation of Conducto uses and ministack lacks, each with its reason.

A shim replaces private functions of one version of ministack. `tests/system/deploy/test_shims.py`
fails for each shim that ministack needs no longer: then remove it. ``python -m
system.deploy.shims`` prints, as JSON, which shims the ministack of this environment needs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Shim:
    """One difference between ministack and AWS.

    Attributes:
        name: Identifies it.
        reason: AWS's behaviour, then ministack's.
        apply: Replaces functions of ministack.
        is_needed: Asks a ministack without any shim whether it still differs.
    """

    name: str
    reason: str
    apply: Callable[[], None]
    is_needed: Callable[[], bool]


def all_shims() -> Iterator[Shim]:
    """Yield every shim."""
    from system.deploy.shims import builds, edge, functions, names, rights, stacks, tasks

    for module in (names, stacks, functions, tasks, builds, edge, rights):
        yield from module.SHIMS


def apply_all() -> None:
    """Apply every shim to this process's ministack."""
    for shim in all_shims():
        shim.apply()


def replace(module: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Decorate a replacement of ``module.name``; its first argument is the original."""
    original = getattr(module, name)

    def put(replacement: Callable[..., Any]) -> None:
        setattr(module, name, functools.wraps(original)(functools.partial(replacement, original)))

    return put
