"""Containers beside a command: `Service`, and the checks of its wire form.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from conducto.wire.fields import check_amount, check_env, check_text, parse_duration
from conducto.wire.secret_names import check_names

#: Maximum number of services of a command: a task of ECS has at most ten containers, and two are
#: those of the worker.
MAX_SERVICES = 8
MAX_PORT = 65_535
#: Seconds in which a service must be ready.
READY_TIMEOUT = 120.0
MAX_READY_TIMEOUT = 900.0
DEFAULT_CPU = 0.5
DEFAULT_MEM = 1.0
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_OPTIONS = ("env", "ready", "port", "command", "cpu", "mem", "ready_timeout", "secrets")
_ABOUT = (
    "services must be {{name: co.Service(...)}} such as "
    "{{'db': co.Service('postgres:16', port=5432)}}, with None to remove an inherited one, got {!r}"
)

Command = Union[str, Sequence[str], None]


class Service:
    """A container beside a command, such as a database for tests.

    Attributes:
        image: Reference of its image.
        env: Its environment variables, besides those of its image.
        ready: Command that runs in its container until it ends with exit code 0: a text for its
            shell, or a list of texts without one. Without it, the service is ready when something
            listens on ``port``.
        port: Port on which it listens.
        command: Arguments in place of those of its image; a list.
        cpu: CPUs, in addition to those of the command.
        mem: Memory in GB, in addition to that of the command.
        ready_timeout: Seconds in which it must be ready.
        secrets: Names of secrets that are variables of its environment. Local mode only.
        name: Name of the service in ``services``; "" before it is in one.
    """

    __slots__ = (
        "command",
        "cpu",
        "env",
        "image",
        "mem",
        "name",
        "port",
        "ready",
        "ready_timeout",
        "secrets",
    )

    def __init__(
        self,
        image: str,
        *,
        env: Optional[Mapping[str, str]] = None,
        ready: Command = None,
        port: Optional[int] = None,
        command: Optional[Sequence[str]] = None,
        cpu: float = DEFAULT_CPU,
        mem: float = DEFAULT_MEM,
        ready_timeout: Union[float, str] = READY_TIMEOUT,
        secrets: Sequence[str] = (),
    ) -> None:
        """Set the values; ``ready_timeout`` is in seconds or a text such as ``2m``.

        Raises:
            ValueError: a value is invalid.
        """
        self.name = ""
        self.image = _check_image(image)
        self.env = dict(sorted(_check_env(env).items()))
        self.ready = _check_ready(ready)
        self.port = _check_port(port)
        self.command = _check_words("command", command)
        self.cpu = check_amount("cpu", cpu)
        self.mem = check_amount("mem", mem)
        self.ready_timeout = parse_duration(ready_timeout, "ready_timeout")
        if self.ready_timeout > MAX_READY_TIMEOUT:
            raise ValueError(
                f"ready_timeout of a service is at most {MAX_READY_TIMEOUT:g} seconds, "
                f"got {ready_timeout!r}"
            )
        self.secrets = tuple(check_names(secrets))

    def __repr__(self) -> str:
        port = "" if self.port is None else f", port={self.port}"
        return f"Service({self.image!r}{port})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Service) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> Tuple[object, ...]:
        """Return all values, hashable."""
        values = (self.name, self.image, self.ready, self.port, self.command, self.cpu, self.mem)
        return (*values, self.ready_timeout, self.secrets, tuple(sorted(self.env.items())))

    def named(self, name: str) -> Service:
        """Return the same service with a name."""
        made = Service(self.image, **{option: getattr(self, option) for option in _OPTIONS})
        made.name = name
        return made

    def to_wire(self) -> Dict[str, Any]:
        """Return the wire form, without values that are the default."""
        default = Service(self.image)
        form: Dict[str, Any] = {"image": self.image}
        for name in _OPTIONS:
            value = getattr(self, name)
            if value != getattr(default, name):
                form[name] = list(value) if isinstance(value, tuple) else value
        return form

    @property
    def variables(self) -> str:
        """Prefix of the variables with its address: ``DB`` for ``db``."""
        return self.name.upper().replace("-", "_")


Services = Dict[str, Optional[Service]]


def to_services(value: Any) -> Services:
    """Return the services of a node from its parameter or its wire form.

    Raises:
        ValueError: it is neither, or a name or a value is invalid.
    """
    if not isinstance(value, Mapping):
        raise ValueError(_ABOUT.format(value))  # noqa: TRY004  the caller adds the node's path
    return {_check_name(name): _to_service(name, each) for name, each in value.items()}


def merged(above: Sequence[Service], own: Services) -> Tuple[Service, ...]:
    """Return the services of a node, with those that it inherits.

    Raises:
        ValueError: there are too many.
    """
    found = {each.name: each for each in above}
    for name, service in own.items():
        found.pop(name, None)
        if service is not None:
            found[name] = service
    if len(found) > MAX_SERVICES:
        raise ValueError(
            f"services has {len(found)} services, with inherited ones; the maximum is "
            f"{MAX_SERVICES}. Remove one: services={{{next(iter(found))!r}: None}}"
        )
    return tuple(found.values())


def _to_service(name: str, value: Any) -> Optional[Service]:
    if value is None or isinstance(value, Service):
        return None if value is None else value.named(name)
    if not isinstance(value, Mapping) or not isinstance(value.get("image"), str):
        raise ValueError(_ABOUT.format({name: value}))  # noqa: TRY004  as in `to_services`
    try:
        return Service(**value).named(name)
    except (TypeError, ValueError) as error:
        raise ValueError(f"service {name!r}: {error}") from error


def _check_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.match(name):
        raise ValueError(
            "the name of a service is a host name of small letters, digits and - that begins with "
            f"a letter (at most 31), got {name!r}"
        )
    return name


def _check_image(value: Any) -> str:
    if not isinstance(value, str) or not value or value.split() != [value]:
        raise ValueError(
            f"the image of a service is a reference such as 'postgres:16', got {value!r}"
        )
    return check_text("image", value)


def _check_env(value: Any) -> Mapping[str, str]:
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        raise ValueError(  # noqa: TRY004  the caller adds the node's path to a ValueError
            f"env of a service must be {{name: value}}, got {value!r}"
        )
    try:
        check_env(given)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return given


def _check_ready(value: Any) -> Union[str, Tuple[str, ...], None]:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("ready of a service is an empty text; remove it, or give a command")
        return check_text("ready", value)
    if value is not None and not isinstance(value, (list, tuple)):
        raise ValueError(f"ready of a service must be a text or a list of texts, got {value!r}")
    return _check_words("ready", value) or None


def _check_words(name: str, value: Any) -> Tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise ValueError(  # noqa: TRY004  as in `to_services`
            f"{name} of a service must be a list of texts, got {value!r}"
        )
    return tuple(check_text(name, each) for each in value)


def _check_port(value: Any) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_PORT:
        raise ValueError(f"port of a service must be a number from 1 to {MAX_PORT}, got {value!r}")
    return value


def to_form(services: Sequence[Service]) -> Dict[str, Any]:
    """Return the wire form of the services of a command."""
    return {each.name: each.to_wire() for each in services}


def of_form(form: Mapping[str, Any]) -> Tuple[Service, ...]:
    """Return the services of a command from their wire form."""
    return merged((), to_services(form))


def size_of(services: Sequence[Service]) -> Tuple[float, float]:
    """Return the CPUs and GB of services, in addition to those of the command."""
    return sum(each.cpu for each in services), sum(each.mem for each in services)


def colliding(services: Sequence[Service]) -> List[Tuple[int, str, str]]:
    """Return ``(port, name, name)`` of the services that have the port of another one."""
    first: Dict[int, str] = {}
    found = []
    for each in services:
        if each.port is not None:
            other = first.setdefault(each.port, each.name)
            if other != each.name:
                found.append((each.port, other, each.name))
    return found
