"""The policy of services: their addresses, sizes, readiness, and the messages of their failures.

A service belongs to the container of the commands that it is beside: it starts before the first
command and is removed with the container. On a machine each service has an address of its own; in
the cloud the containers of a task share one.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from conducto.wire.services import Service, colliding, of_form, to_form
from conducto_core.command.masking import Mask

#: Bytes of the end of a service's output that are kept for a message.
LAST_OUTPUT: Final = 2_000
#: Lines of it: with the reason as many as `conducto show` prints.
_LAST_LINES: Final = 4
_MAX_PROBE: Final = 300
#: Seconds between two checks whether a service is ready; longer after the first ones.
POLL_SECONDS: Final = (0.1, 0.1, 0.2, 0.3, 0.5)
#: Prefix of the names of the containers of services in a task.
CONTAINER: Final = "service-"
#: The address of services in the cloud.
LOOPBACK: Final = "127.0.0.1"


def variables(
    services: Iterable[Service], host_of: Callable[[str], str] = lambda name: name
) -> dict[str, str]:
    """Return the variables of a command with addresses of services: ``DB_HOST``, ``DB_PORT``.

    Args:
        services: The services.
        host_of: Returns the host of a service, by its name.
    """
    found: dict[str, str] = {}
    for each in services:
        found[f"{each.variables}_HOST"] = host_of(each.name)
        if each.port is not None:
            found[f"{each.variables}_PORT"] = str(each.port)
    return found


def pauses() -> Iterator[float]:
    """Yield the seconds between checks whether a service is ready, without an end."""
    yield from POLL_SECONDS
    while True:
        yield POLL_SECONDS[-1]


def with_secrets(service: Service, secrets: Mapping[str, str]) -> Service:
    """Return a service whose environment has the values of its secrets.

    Raises:
        ValueError: a secret does not exist.
    """
    missing = [name for name in service.secrets if name not in secrets]
    if missing:
        raise ValueError(
            f"service {service.name!r}: there is no secret {missing[0]}; set it: "
            f"conducto secrets set {missing[0]}"
        )
    made = service.named(service.name)
    made.env = {**service.env, **{name: secrets[name] for name in service.secrets}}
    return made


# ---- output -------------------------------------------------------------------------------------

#: Maximum bytes of the output of services that an attempt keeps.
MAX_OUTPUT: Final = 10 << 20
_CUT: Final = b"conducto: further output of the services is not kept\n"


class OutputLines:
    """The output of the services of one attempt as lines, each after the name of its service.

    Args:
        mask: Masks the secrets in a text.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._parts: dict[str, bytes] = {}
        self._left = MAX_OUTPUT

    def feed(self, name: str, data: bytes) -> bytes:
        """Return the lines that a part of the output of a service completes."""
        lines = (self._parts.get(name, b"") + data).split(b"\n")
        self._parts[name] = lines.pop()
        if len(self._parts[name]) > LAST_OUTPUT:  # a line without an end
            lines.append(self._parts.pop(name))
        return self._masked_lines(name, lines)

    def finish(self) -> bytes:
        """Return the incomplete lines."""
        parts, self._parts = self._parts, {}
        return b"".join(self._masked_lines(name, [line]) for name, line in parts.items() if line)

    def _masked_lines(self, name: str, lines: Iterable[bytes]) -> bytes:
        if self._left <= 0:
            return b""
        texts = (self._mask.text(each.decode(errors="replace")) for each in lines)
        found = "".join(f"{name} | {text}\n" for text in texts).encode()
        self._left -= len(found)
        return found if self._left > 0 else found + _CUT


def lines_of(output: str, name: str | None) -> str:
    """Return the stored lines of one service without its name, or of all with their names."""
    if name is None:
        return output
    prefix = f"{name} | "
    lines = output.splitlines(keepends=True)
    return "".join(each.removeprefix(prefix) for each in lines if each.startswith(prefix))


# ---- the services of a worker in the cloud ------------------------------------------------------


def to_agent(services: Sequence[Service]) -> str:
    """Return the services of a worker for its agent as JSON, without their environment."""
    forms = to_form(services).items()
    known = {"image", "ready", "port", "ready_timeout"}
    return json.dumps({n: {k: v for k, v in form.items() if k in known} for n, form in forms})


def of_agent(text: str) -> tuple[Service, ...]:
    """Return the services that `to_agent` wrote; none for an empty text."""
    return of_form(json.loads(text)) if text else ()


def places(services: Iterable[Service], task_arn: str) -> str:
    """Return a stored line for each service of a worker about the place of its output.

    ECS sends it to CloudWatch, which the agent of the worker may not read.
    """
    task = task_arn.rpartition("/")[2] or "TASK"
    return "".join(
        f"{each.name} | conducto: its output is in CloudWatch, in the log group of workers, stream "
        f"worker/{CONTAINER}{each.name}/{task}\n"
        for each in services
    )


# ---- limits of the cloud ------------------------------------------------------------------------


def cloud_problems(services: Sequence[Service]) -> Iterator[str]:
    """Yield the reasons why services cannot run in the cloud, each with its remedy."""
    for port, one, other in colliding(services):
        yield (
            f"services {one!r} and {other!r} both have port {port}, and share an address in the "
            f"cloud; let one listen on another port: command=[...] and port={port + 1}"
        )
    for each in services:
        if each.secrets:
            yield (
                f"service {each.name!r}: secrets= is not available in the cloud; use a value in "
                "env= that protects nothing, or run the pipeline locally"
            )


def port_warning(services: Sequence[Service]) -> str | None:
    """Return a warning about services that could not run in the cloud, or None."""
    found = colliding(services)
    if not found:
        return None
    port, one, other = found[0]
    return (
        f"services {one!r} and {other!r} both have port {port}: this works on a machine, but not "
        "in the cloud, where they share an address"
    )


# ---- messages -----------------------------------------------------------------------------------


def not_ready(
    service: Service, output: str | None, *, probe: str = "", no_program: bool = False
) -> str:
    """Return the message for a service that was not ready in time.

    Args:
        service: The service.
        output: The end of its output; None: it is not known.
        probe: The end of the output of its command ``ready``.
        no_program: That command cannot be executed.
    """
    remedy = "correct ready= or port=, or raise ready_timeout="
    reason = f"nothing listens on port {service.port} for other containers"
    if service.ready is not None:
        ready = service.ready if isinstance(service.ready, str) else " ".join(service.ready)
        reason = f"ready={ready!r} did not end with exit code 0"
        lines = probe.split("\n") if probe.strip() else []
        reason += "".join(f" ({line.strip()})" for line in lines if line.strip())[:_MAX_PROBE]
    if no_program:
        return _about(service, f"cannot be checked: {reason}; correct ready=", output)
    text = f"was not ready within {service.ready_timeout:g} s: {reason}; {remedy}"
    return _about(service, text, output)


def ended(service: Service, code: int | None, output: str | None, *, oom: bool = False) -> str:
    """Return the message for a service that ended while it was needed."""
    how = "ended without an exit code" if code is None else f"ended with exit code {code}"
    if oom:
        how = f"is out of memory at its limit of {service.mem:g} GB; raise mem= of the service"
    return _about(service, how, output)


def not_started(service: Service, reason: str) -> str:
    """Return the message for a service whose container could not be started."""
    return _about(service, f"cannot start: {reason}", None)


def _about(service: Service, text: str, output: str | None) -> str:
    """Return a text about a service, with the last lines of its output."""
    first = f"service {service.name!r} ({service.image}) {text}"
    if output is None:
        return first
    lines = [line for line in output.split("\n") if line.strip()][-_LAST_LINES:]
    if not lines:
        return f"{first}. It has printed nothing"
    return "\n".join([first, *(f"{service.name} | {line}" for line in lines)])
