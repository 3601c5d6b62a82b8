"""Checks of the values of node parameters.

The rules on single values are used when a tree is printed (author API, inside any image) and when
it is resolved for a launch. Standard library only, Python 3.8 and later.

Every check raises `ValueError` with a sentence that starts with the parameter's name; the caller
adds the node's path before it.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Iterable, List, Mapping, Optional, Union

from conducto.wire import limits

# One table for units; in the original's grammar a month has 30 days and a year 365.
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 7 * 86400.0,
    "mm": 30 * 86400.0,
    "y": 365 * 86400.0,
}
#: The micro sign, and the identical Greek letter: alternatives to the "u" of "us".
_MICRO = str.maketrans("\u00b5\u03bc", "uu")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-zA-Z]+)")
# Compared before any conversion: an int in JSON may be too large for a float.
_LARGEST = sys.float_info.max
_MACHINE = re.compile(r"[a-z][a-z0-9-]{0,23}\Z")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

MAX_RETRY_LOST = 100
#: GPUs of the largest machines; fewer may exist where a command runs.
MAX_GPUS = 16
DEFAULT_MAX_TIME = 4 * 3600.0
DEFAULT_CPU = 1.0
DEFAULT_MEM = 2.0
ARM = "arm64"
#: Value of `mem`: the size follows from the use of earlier attempts.
AUTO = "auto"
#: ``{architecture: its name in platforms of images}``
IMAGE_NAMES = {"x86_64": "amd64", ARM: ARM}
ARCHITECTURES = tuple(IMAGE_NAMES)
#: ``{other name of an engine or an operating system: architecture}``
ARCHITECTURE_NAMES = {"amd64": "x86_64", "x86-64": "x86_64", "aarch64": ARM}
NEW = "new"
GLOBAL = "global"
#: ``{flag of docker run: remedy}``
FORBIDDEN_DOCKER_ARGS = {
    "--cpus": "set cpu= on the node",
    "--memory": "set mem= on the node",
    "--network": "the nodes of a pipeline share a network of its own",
}


def parse_duration(value: Union[float, str], name: str = "max_time") -> float:
    """Return the seconds of ``value``, the parameter ``name``.

    Numbers are seconds. A string is one or more ``<number><unit>`` without blanks; units are ns us
    ms s m h d w mm (30 days) y, and a Greek mu for the u. A leading "-" is ignored, as in the
    original.

    Raises:
        ValueError: the text is not a duration, or the duration is not above 0.

    >>> parse_duration("1h30m"), parse_duration("1.5d"), parse_duration(90)
    (5400.0, 129600.0, 90.0)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{name} must be seconds or a text such as '1h30m', got {value!r}")
    seconds = _parse_text(value, name) if isinstance(value, str) else value
    return _positive(name, seconds, value)


def _parse_text(text: str, name: str) -> float:
    body = text[1:] if text.startswith("-") else text  # removeprefix came with Python 3.9
    body = body.translate(_MICRO)
    total, end = 0.0, 0
    for part in _PART.finditer(body):
        if part.start() != end:
            break
        number, unit = part.groups()
        if unit not in _SECONDS:
            raise ValueError(
                "{} has an unknown unit {!r} in {!r}; units are {}".format(
                    name, unit, text, " ".join(_SECONDS)
                )
            )
        total += float(number) * _SECONDS[unit]
        end = part.end()
    if not body or end != len(body):
        raise ValueError(
            f"{name} is an invalid duration: {text!r}; "
            "write a number of seconds, or a text such as '90s'"
        )
    return total


def check_amount(name: str, value: Any) -> float:
    """Return ``value`` as a float above 0 (``name`` is ``cpu`` or ``mem``).

    Raises:
        ValueError: not a number, not finite, or not above 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number above 0, got {value!r}")
    return _positive(name, value, value)


def check_mem(value: Any) -> Union[float, str]:
    """Return ``value`` as GB above 0, or ``"auto"``.

    Raises:
        ValueError: it is neither.
    """
    if value == AUTO:
        return AUTO
    if isinstance(value, str):
        raise ValueError(f"mem must be a number above 0, or 'auto', got {value!r}")
    return check_amount("mem", value)


def _positive(name: str, value: float, written: Any) -> float:
    if value <= 0:
        raise ValueError(f"{name} must be above 0, got {written!r}")
    if not value <= _LARGEST:  # true of NaN as well
        raise ValueError(f"{name} must be a finite number, got {written!r}")
    return float(value)


def check_gpu(value: Any) -> int:
    """Return ``value`` as a number of GPUs.

    Raises:
        ValueError: not a whole number from 0 to `MAX_GPUS`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_GPUS:
        raise ValueError(f"gpu must be a whole number from 0 to {MAX_GPUS}, got {value!r}")
    return value


def architecture(name: str) -> str:
    """Return the architecture that an engine or an operating system names, or ""."""
    name = name.lower()
    return ARCHITECTURE_NAMES.get(name, name if name in ARCHITECTURES else "")


def check_arch(value: Any) -> str:
    """Return ``value`` if it names an architecture of machines.

    Raises:
        ValueError: it does not; the message suggests the nearest name.
    """
    if isinstance(value, str) and value in ARCHITECTURES:
        return value
    nearest = ""
    if isinstance(value, str):
        import difflib  # noqa: PLC0415  heavy, and rarely needed

        known = {**ARCHITECTURE_NAMES, **{name: name for name in ARCHITECTURES}}
        found = difflib.get_close_matches(value.lower(), known, 1)
        nearest = f"; did you mean {known[found[0]]!r}?" if found else ""
    raise ValueError(f"arch must be 'x86_64' or 'arm64', got {value!r}{nearest}")


def check_spot(value: Any) -> Any:
    """Return ``value`` if it says whether workers are Spot tasks: a bool, or ``"only"``.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(value, str) and value == "only":
        return value
    if value not in (True, False):
        raise ValueError(f"spot must be True, False or 'only', got {value!r}")
    return bool(value)


def check_machine(value: Any) -> str:
    """Return ``value`` if it can be the name of a machine class.

    Raises:
        ValueError: it is not a text, or an invalid name.
    """
    if isinstance(value, str) and _MACHINE.match(value):
        return value
    raise ValueError(
        "machine must be the name of a machine class of the installation, with lower-case letters, "
        f"digits and '-', at most 24, got {value!r}"
    )


def check_max_concurrent(value: Any) -> int:
    """Return ``value`` as a number of Execs that may run at once.

    Raises:
        ValueError: not a whole number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"max_concurrent must be a whole number of at least 1, got {value!r}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` as a bool, if it equals one: 1 and numpy's do, a text does not.

    Raises:
        ValueError: it is something else.
    """
    if value not in (True, False):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def check_stop_on_error(value: Any) -> bool:
    """Return ``value`` as a bool; a text is True, because scripts for the original contain some.

    Raises:
        ValueError: it is something else.
    """
    return isinstance(value, str) or check_flag("stop_on_error", value)


def check_retry_lost(value: Any) -> int:
    """Return ``value`` as a number of retries of a command whose container was lost.

    Raises:
        ValueError: not a whole number from 0 to `MAX_RETRY_LOST`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRY_LOST:
        raise ValueError(
            f"retry_lost must be a whole number from 0 to {MAX_RETRY_LOST}, got {value!r}"
        )
    return value


def check_budget_action(value: Any) -> str:
    """Return ``value`` if it says what happens to running commands at the end of a budget.

    Raises:
        ValueError: neither ``"finish"`` nor ``"kill"``.
    """
    if value not in ("finish", "kill"):
        raise ValueError(f"budget_action must be 'finish' or 'kill', got {value!r}")
    return str(value)


def check_reuse_context(value: Any) -> str:
    """Return ``value`` if it names a container reuse context.

    Raises:
        ValueError: neither ``"new"`` nor ``"global"``.
    """
    if value not in (NEW, GLOBAL):
        raise ValueError(
            f"container_reuse_context must be ContainerReuseContext.NEW or .GLOBAL, got {value!r}"
        )
    return str(value)


def check_docker_run_args(value: Iterable[str]) -> List[str]:
    """Return ``value`` as a list of arguments for the engine.

    Raises:
        ValueError: not a list of texts, or one of them is set by Conducto itself.
    """
    args = [] if isinstance(value, str) else list(value)
    if isinstance(value, str) or not all(isinstance(a, str) for a in args):
        raise ValueError(f"docker_run_args must be a list of texts, got {value!r}")
    refusal = forbidden_docker_arg(args)
    if refusal is not None:
        raise ValueError(f"docker_run_args {refusal}")
    return args


def forbidden_docker_arg(args: Iterable[str]) -> Optional[str]:
    """Return the reason for rejecting arguments of the engine, or None."""
    for arg in args:
        advice = FORBIDDEN_DOCKER_ARGS.get(arg.split("=", 1)[0])
        if advice is not None:
            known = ", ".join(FORBIDDEN_DOCKER_ARGS)
            return f"cannot specify any of {known}, got {arg}; {advice}"
    return None


def check_env(env: Mapping[Any, Any]) -> None:
    """Check that a shell can export ``env``.

    Raises:
        ValueError: a name is not an identifier, or a value contains a NUL or is too long.
        TypeError: a name or a value is not a string.
    """
    for name, value in env.items():
        if not isinstance(name, str):
            raise TypeError(f"has {type(name).__name__} in env name {name!r} when str is required")
        if not isinstance(value, str):
            raise TypeError(
                f"has {type(value).__name__} in env value for {name} when str is required"
            )
        if not _ENV_NAME.match(name):
            raise ValueError(f"env name {name!r} is not an identifier a shell can export")
        if "\0" in value:
            raise ValueError(f"env value of {name} holds a NUL character")
        check_text(f"env value of {name}", value)
        size = limits.size_of(name) + 1 + limits.size_of(value)
        if size > limits.MAX_ENV_BYTES:
            raise ValueError(
                f"env value of {name} is too long: {name}=... has {size:,} bytes, and Linux allows "
                f"{limits.MAX_ENV_BYTES:,}; pass it in a file, for instance of co.data.pipeline"
            )


def check_text(name: str, value: Any) -> str:
    """Return ``value`` if it is text that can be stored.

    Raises:
        ValueError: it is not text, or contains a surrogate, as in the names of files that are not
            UTF-8.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {value!r}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name} holds {value[error.start]!r}, which is not a character; remove it"
            ) from error
    return value


def check_command(command: Any) -> str:
    """Return ``command`` if a shell can run it.

    Raises:
        ValueError: not text, empty, over `limits.MAX_COMMAND_BYTES`, or containing a NUL.
    """
    if not isinstance(command, str):
        raise ValueError(f"command must be text or a function, got {command!r}")
    if not command.strip():
        raise ValueError("command is empty; write what to run, or 'true' to run nothing")
    if "\0" in command:
        raise ValueError("command holds a NUL character, which no shell can read")
    limits.check_command_size(limits.size_of(check_text("command", command)))
    return command
