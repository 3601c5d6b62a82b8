"""The cost of what AWS does for commands beside running them: requests, records and transitions.

Storing the number of each kind of call would cost as much as the calls. So this is a model, with
the calls of one attempt and of one heartbeat; `tests/functions/test_service_costs.py` compares it
with the calls that AWS counts. Traffic, files, images and logs are not included.
"""

from dataclasses import dataclass

from conducto_core.semantics.fargate import PRICES

#: GB of a function that serves requests, and the seconds of a request.
_MEMORY, _SECONDS = 1.769, 0.06
#: Seconds between two heartbeats, which carry output.
_HEARTBEAT = 10.0
#: Reads of secrets for a command, and the seconds for which a process keeps them.
_SECRETS, _SECRETS_KEPT = 2, 30.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one kind of event, on average.

    Attributes:
        requests: Requests to the API, each with an invocation of a function.
        writes: Write units of the table.
        reads: Read units of the table.
    """

    requests: float
    writes: float
    reads: float

    @property
    def dollars(self) -> float:
        """Return their cost."""
        request = PRICES.request + PRICES.invocation + _MEMORY * _SECONDS * PRICES.memory_second
        return self.requests * request + self.writes * PRICES.write + self.reads * PRICES.read


#: An attempt: its claim, its output, its report, and its records.
ATTEMPT = Calls(requests=3, writes=12, reads=9)
#: A heartbeat of a running command, with output.
HEARTBEAT = Calls(requests=1, writes=2, reads=2)
#: State transitions of an Exec, with its share of the machine that contains it.
TRANSITIONS = 1.05


def request_dollars(attempts: int, seconds: float) -> float:
    """Return the cost of requests and records of attempts that ran for ``seconds`` together."""
    secrets = _SECRETS * min(attempts, seconds / _SECRETS_KEPT) * PRICES.secret_read
    return attempts * ATTEMPT.dollars + seconds / _HEARTBEAT * HEARTBEAT.dollars + secrets


def transition_dollars(attempts: int) -> float:
    """Return the cost of the state transitions of attempts."""
    return attempts * TRANSITIONS * PRICES.transition
