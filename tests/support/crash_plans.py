"""Random small pipelines whose commands log their runs, and random crashes.

One seed determines everything, so that a failed round can be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import conducto as co
from conducto_core.run.model.requests import Action
from support.trees import form, lazy, leaf, parallel, serial

#: File in the pipeline's data directory: ``begin NODE ATTEMPT`` and ``end NODE ATTEMPT``.
NOTES = "ran"
_COMMAND = """\
notes=${{CONDUCTO_DATA_PIPELINE:-/conducto/data/pipeline}}/{notes}
me="$CONDUCTO_NODE $CONDUCTO_ATTEMPT"
echo "begin $me" >> "$notes"
sleep {silent}
i=0
while [ $i -lt {lines} ]; do echo "$me $i"; i=$((i+1)); sleep {pause}; done
echo "end $me" >> "$notes"
printf %s '{tree}'
test "$CONDUCTO_ATTEMPT" -ge {good_from}
"""
#: Mail cannot be sent without a mail server; notifications are stored, tried and given up.
_TELL = [["running", ["email", {"to": "a@b.c"}]]]
_RETRY = [["error", ["retry", {"max_num_retries": 1}]]]
_LAZY = "<__conducto_serialization>{}</__conducto_serialization>"


@dataclass(frozen=True)
class Script:
    """The behaviour of an Exec.

    Attributes:
        silent: Seconds before its first line.
        pause: Seconds after each line.
        good_from: Its attempts succeed from this number on.
    """

    lines: int
    pause: float
    silent: float = 0.0
    good_from: int = 1

    def command(self, tree: str = "") -> str:
        """Return the shell command, which prints ``tree`` at its end."""
        return _COMMAND.format(notes=NOTES, tree=tree, **vars(self))

    def output(self, path: str, attempt: int) -> bytes:
        """Return the output of an attempt that is not stopped."""
        return b"".join(f"{path} {attempt} {i}\n".encode() for i in range(self.lines))

    def succeeds(self, attempt: int) -> bool:
        """Return whether an attempt that is not stopped succeeds."""
        return attempt >= self.good_from


@dataclass
class Plan:
    """A pipeline to run.

    Attributes:
        scripts: ``{path: script}``, including generated nodes.
    """

    random: Random
    engine: str
    scripts: dict[str, Script] = field(default_factory=dict)
    tree: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        root = self._group("/", 0)
        self.tree = form(root)

    def _group(self, path: str, depth: int) -> dict[str, Any]:
        random = self.random
        make = random.choice([serial, serial, parallel])
        children = [
            self._node(f"{path.rstrip('/')}/n{i}", depth + 1)
            for i in range(random.randint(2, 4 if depth == 0 else 3))
        ]
        return make(
            *children,
            stop_on_error=random.random() < 0.4,
            suppress_errors=random.random() < 0.2,
            max_time=random.choice([None] * 5 + [1.5]),
            callbacks=_RETRY if random.random() < 0.15 else [],
        )

    def _node(self, path: str, depth: int) -> dict[str, Any]:
        dice = self.random.random()
        if depth < 3 and dice < 0.3:
            return self._group(path, depth)
        if dice < 0.4:
            return self._lazy(path)
        return self._leaf(path)

    def _leaf(self, path: str) -> dict[str, Any]:
        random = self.random
        endless = random.random() < 0.15
        script = self.scripts[path] = Script(
            lines=random.randint(0, 6),
            pause=random.choice([0.0, 0.05, 0.1]),
            silent=20.0 if endless else random.choice([0.0, 0.0, 0.3]),
            good_from=random.choice([1, 1, 1, 1, 2, 9]),
        )
        return leaf(
            command=script.command(),
            cpu=random.choice([0.25, 1]),
            max_time=0.5 if endless else None,
            skip=random.random() < 0.05,
            suppress_errors=random.random() < 0.2,
            callbacks=[*_TELL, *(_RETRY if random.random() < 0.3 else [])],
        )

    def _lazy(self, path: str) -> dict[str, Any]:
        inner = self.random.choice([co.Serial, co.Parallel])()
        for name in ("x", "y")[: self.random.randint(1, 2)]:
            script = self.scripts[f"{path}/Execute/{name}"] = Script(3, 0.1)
            inner[name] = co.Exec(script.command())
        script = self.scripts[f"{path}/Generate"] = Script(2, 0.05)
        return lazy(command=script.command(_LAZY.format(inner.serialize())))


@dataclass(frozen=True)
class Accident:
    """The actions of a user and the times at which the agent dies.

    Attributes:
        in_launch: The clock runs from before the launch is sent, not from its response.
        order: Sent to a random Exec just before, or None.
        when_settled: The order, and so the death, waits for the end of the run.
        delay: Seconds from the launch, or from the response to the action, to the death.
        again: Seconds from the start of the next agent to its death; None if it lives.
    """

    in_launch: bool
    order: Action | None
    when_settled: bool
    order_after: float
    delay: float
    again: float | None


def random_accident(random: Random, *, slow: bool) -> Accident:
    """Return a random accident; ``slow`` is for engines that start slowly."""
    dice = random.random()
    order = random.choice([Action.RESET, Action.KILL, Action.SKIP]) if dice < 0.35 else None
    in_launch = dice > 0.9
    longest = 0.1 if in_launch or random.random() < 0.2 else 5.0 if slow else 2.5
    return Accident(
        in_launch=in_launch,
        order=order,
        when_settled=order is Action.RESET and random.random() < 0.5,
        order_after=random.uniform(0, 1.5),
        delay=random.uniform(0, 0.8 if order is not None else longest),
        again=random.uniform(0, 0.6) if random.random() < 0.35 else None,
    )
