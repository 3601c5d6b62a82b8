"""The durations and the use of memory of a program in its earlier launches."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conducto_cli.target.connection import OpenClient
    from conducto_client import Client
    from conducto_core.machines.model import MemoryUses
    from conducto_core.run.model.params import ProgramParams

#: The function that made a tree, and its arguments.
Made = tuple[str, dict[str, str]]
#: Earlier launches whose durations are read, the newest.
LAUNCHES = 5
#: Upper bound of a duration in a file.
_MAX_SECONDS = 1e9


@dataclass(frozen=True)
class EarlierRun:
    """The durations of an earlier launch, ``{path: seconds}``."""

    id: str
    created: float
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Known:
    """Known durations.

    Attributes:
        seconds: ``{path: seconds}``.
        runs: The earlier runs of the target that they are from.
        given: Whether they are from a file.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    runs: Sequence[EarlierRun] = ()
    given: bool = False


def earlier_runs(client: Client, program: str, made: Made | None = None) -> list[EarlierRun]:
    """Return the durations of commands that succeeded in a script's newest launches.

    ``made``: Only launches by this function with these arguments.
    """
    found: list[EarlierRun] = []
    summaries = [s for s in client.list(text=program) if s.pipeline.program == program]
    if made is not None:
        summaries = [s for s in summaries if (s.pipeline.function, s.pipeline.arguments) == made]
    for summary in summaries[:LAUNCHES]:
        seconds: dict[str, float] = {}
        for view in client.tree(summary.pipeline.id, attempts="newest"):
            for attempt in view.attempts:
                succeeded = attempt.state.value == "done"
                if succeeded and attempt.started is not None and attempt.ended is not None:
                    seconds[view.path] = attempt.ended - attempt.started
        if seconds:
            found.append(EarlierRun(summary.pipeline.id, summary.pipeline.created, seconds))
    return found


def medians(runs: Sequence[EarlierRun]) -> dict[str, float]:
    """Return ``{path: median seconds}``."""
    known: dict[str, list[float]] = {}
    for run in runs:
        for path, seconds in run.seconds.items():
            known.setdefault(path, []).append(seconds)
    return {path: statistics.median(seconds) for path, seconds in known.items()}


def known_runs(program: str, openers: Sequence[OpenClient], made: Made | None = None) -> Known:
    """Return durations of earlier launches from each target; a later target overrides.

    Args:
        program: Path of the script.
        made: The function and the arguments whose launches count; None: all of them.
        openers: Make clients; targets that do not respond are skipped.
    """
    from conducto.errors import UsageError  # noqa: PLC0415
    from conducto_client import ClientError  # noqa: PLC0415

    known = Known()
    for opener in openers:
        try:
            with opener() as client:
                runs = earlier_runs(client, program, made)
        except (ClientError, UsageError):
            continue
        if runs:
            known = Known({**known.seconds, **medians(runs)}, runs)
    return known


def given_durations(file: str) -> Known:
    """Return the durations in a JSON file; raises `UsageError`."""
    from conducto.errors import UsageError  # noqa: PLC0415

    try:
        found = json.loads(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--durations {file}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"--durations {file}: {error}") from error
    if not isinstance(found, dict) or not all(map(_is_duration, found.items())):
        raise UsageError(
            f'--durations {file}: expected an object of paths and seconds, {{"/train": 12.5}}'
        )
    return Known({path: float(seconds) for path, seconds in found.items()}, given=True)


def _is_duration(item: tuple[str, object]) -> bool:
    path, seconds = item
    return path.startswith("/") and type(seconds) in {int, float} and 0 <= seconds < _MAX_SECONDS  # type: ignore[operator]


def known_memory(program: ProgramParams, openers: Sequence[OpenClient]) -> MemoryUses:
    """Return the use of memory by a program on the last target that responds."""
    from conducto.errors import UsageError  # noqa: PLC0415
    from conducto_client import ClientError  # noqa: PLC0415
    from conducto_core.machines.model import MemoryUse, MemoryUses  # noqa: PLC0415

    for opener in reversed(openers):
        try:
            with opener() as client:
                found = client.memory_history(program)
        except (ClientError, UsageError):
            continue
        uses = {each.path: MemoryUse(each.gb, each.attempts) for each in found.nodes}
        return MemoryUses(uses, found.most)
    return MemoryUses()


def openers() -> list[OpenClient]:
    """Return functions that open clients of this machine's agent and of the account."""
    from conducto_cli.target.account import account_of  # noqa: PLC0415
    from conducto_cli.target.connection import LocalAgent  # noqa: PLC0415
    from conducto_client import Client, HttpTransport  # noqa: PLC0415

    endpoint, account = LocalAgent().find(), account_of()
    found: list[OpenClient] = []
    if endpoint is not None:
        found.append(lambda: Client(HttpTransport(endpoint)))
    if account is not None:
        found.append(account.client)
    return found
