"""Other Lambdas that work on the same pipeline, as one request at a time sees them.

A test has one thread, so these others act while the request sleeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.errors import ConflictError
from chalicelib.run.model import OutputsArrived, TimeLimitsExpired
from chalicelib.run.port import TurnState
from chalicelib.services import Services
from conducto_core.results.model import OutputSummary

if TYPE_CHECKING:
    from random import Random

    from chalicelib.run.port import Entry, News, Waiting
    from support.cloud.world import World

_TAKEN = (TurnState.TAKEN, TurnState.URGENT)


class Crowd:
    """A store that others use as well.

    They take the turn, write entries with the inputs that wait, or die. Inputs arrive late or
    again. The response to a write is lost, so that the SDK repeats the write in vain.

    Attributes:
        waited: Number of inputs that waited for an entry of another request.
    """

    def __init__(self, world: World, rng: Random, share: float) -> None:
        self._world, self._store, self._rng, self._share = world, world.store, rng, share
        self._others = Services(world.cloud).engine
        self._sent: list[tuple[str, Waiting]] = []
        self._late: list[tuple[str, Waiting]] = []
        self._pipeline = ""
        self.waited = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _chance(self, share: float = 1.0) -> bool:
        return self._rng.random() < share * self._share

    def news(self, pipeline_id: str, after: int) -> News:
        turn = self._store.news(pipeline_id, after).turn
        if turn.state not in _TAKEN and self._chance():
            self._store.pass_turn(pipeline_id, turn, TurnState.TAKEN)
        if self._sent and self._chance(0.3):
            self._store.put_waiting(*self._rng.choice(self._sent))
        return self._store.news(pipeline_id, after)

    def put_waiting(self, pipeline_id: str, waiting: Waiting) -> None:
        self._pipeline = pipeline_id
        self.waited += 1
        self._sent.append((pipeline_id, waiting))
        if self._chance():
            self._late.append((pipeline_id, waiting))
        else:
            self._store.put_waiting(pipeline_id, waiting)

    def commit(self, org: str, pipeline_id: str, entry: Entry) -> None:
        if self._chance(0.5):
            raise ConflictError("another request was faster")
        self._store.commit(org, pipeline_id, entry)
        if self._chance(0.5):
            raise ConflictError("the SDK repeated a write whose response was lost")

    def sleep(self, _seconds: float) -> None:
        """Let the others act."""
        if not self._pipeline:
            return
        while self._late and self._rng.random() < 0.5:
            self._store.put_waiting(*self._late.pop())
        match self._rng.choice(["write", "write", "disturb", "leave", "die"]):
            case "write":
                self._leave()
                self._submit(
                    OutputsArrived(
                        time=self._world.now, path="/nowhere", attempt=1, outputs=OutputSummary()
                    )
                )
            case "disturb":
                self._leave()
                self._submit(TimeLimitsExpired(time=self._world.now, paths=()))
            case "leave":
                self._leave()
            case _:  # the holder of the turn has died
                pass

    def _leave(self) -> None:
        turn = self._store.news(self._pipeline, 0).turn
        if turn.state in _TAKEN:
            self._store.pass_turn(self._pipeline, turn, TurnState.OPEN)

    def _submit(self, happened: Any) -> None:
        org = self._store.org_of(self._pipeline)
        if org is not None:
            self._others.submit(org, self._pipeline, lambda _: happened)
