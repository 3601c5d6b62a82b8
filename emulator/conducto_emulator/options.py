"""The options of the emulator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conducto_emulator.identity import IdentityProvider
from conducto_emulator.latency import Latency
from conducto_emulator.strict import Strictness
from conducto_emulator.stripe_double.installation import EmulatedBilling

#: Directory of the functions in a checkout.
FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the emulator.

    Attributes:
        folder: Directory of the files of tasks and EFS; it is deleted with the emulator.
        port: Port of the API; 0 for a free one.
        aws_port: Port of AWS; 0 for a free one.
        base: Base image of the agent's image.
        functions: Directory of the app.
        package: Directory with the unpacked zip for Lambda: its app runs in separate processes
            instead of `functions` in this process. With ``strict``, `functions` run separately as
            well.
        variables: Variables of the functions, in addition to those of every installation.
        minute: Seconds of the emulator's minute, the interval of scheduled functions.
        poll: Seconds that a poll without a task stays open; AWS: 60.
        stop: Maximum seconds that tasks have to stop before they are removed with the emulator.
        strict: AWS's limits and random failures; None enforces only sizes.
        latency: AWS's latencies; None for those of this machine.
        identity: Returns the identity provider for the origin of the web app; None: people sign in
            with tokens.
        billing: Returns the double of Stripe; None: the installation has no billing.
    """

    folder: Path
    port: int = 0
    aws_port: int = 0
    base: str | None = None
    functions: Path = FUNCTIONS
    package: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    minute: float = 60.0
    poll: float = 1.0
    stop: float = 20.0
    strict: Strictness | None = None
    latency: Latency | None = None
    identity: Callable[[str], IdentityProvider] | None = None
    billing: Callable[[], EmulatedBilling] | None = None
