"""What ``conducto modify`` changes, from its options."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, Any

from conducto.errors import UsageError
from conducto.wire.retries import retry

if TYPE_CHECKING:
    import argparse

    from pydantic_core import ErrorDetails

    from conducto_core.run.model.requests import Changes


_YES_NO = {"yes": True, "no": False}
_TEXTS = (
    "command",
    "cpu",
    "mem",
    "gpu",
    "image",
    "max_time",
    "max_concurrent",
    "retry_lost",
    "budget",
    "container_reuse_context",
    "doc",
)
#: Messages about values that are not numbers, by pydantic's name of the error.
_NUMBERS = {
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
}
_SWITCHES = ("stop_on_error", "suppress_errors", "requires_docker")


def changes_of(arguments: argparse.Namespace) -> Changes:
    """Return the changes that were asked for; an empty value takes a parameter back.

    Raises:
        UsageError: nothing was asked for, or a value does not fit its parameter.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - heavy, and not for --help

    from conducto_core.run.model.requests import Changes  # noqa: PLC0415

    given: dict[str, Any] = {}
    for name in _TEXTS:
        text = getattr(arguments, name)
        if text is not None:
            given[name] = None if text == "" else text
    for name in (*_SWITCHES, "spot"):
        choice = getattr(arguments, name)
        if choice is not None:
            given[name] = None if choice == "" else _YES_NO.get(choice, choice)
    if arguments.retry is not None:
        given["retry"] = _retry(arguments.retry)
    if arguments.docker_run_args is not None:
        given["docker_run_args"] = _split("--docker-run-args", arguments.docker_run_args)
    env = _env(arguments)
    if env:
        given["env"] = env
    if not given:
        raise UsageError("say what to change, e.g. --command 'make test' or --env DEBUG=1")
    try:
        return Changes.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise UsageError(f"{option}: {_fault_text(first)}, got {first['input']!r}") from error


def _fault_text(error: ErrorDetails) -> str:
    """Return the fault of a value; pydantic's own texts mention inputs and strings."""
    return _NUMBERS.get(error["type"], error["msg"])


def _retry(text: str) -> dict[str, Any] | None:
    """Return the policy in a text such as ``3 delay=10 backoff=2 on=75,timeout``."""
    number, *words = text.split() or [""]
    if not number:
        return None
    pairs = [word.partition("=")[::2] for word in words]
    try:
        given = {name: _word(name, value) for name, value in pairs}
        return retry(int(number), **given).to_wire()
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"--retry: write a number, and arguments of co.retry such as delay=10s backoff=2 "
            f"on=75,timeout, got {text!r}: {error}"
        ) from error


def _word(name: str, text: str) -> Any:
    if name == "on":
        return [int(each) if each.isdigit() else each for each in text.split(",")]
    return float(text) if re.fullmatch(r"[0-9.]+", text) else text


def _split(option: str, text: str) -> tuple[str, ...] | None:
    try:
        return tuple(shlex.split(text)) or None
    except ValueError as error:
        raise UsageError(f"{option}: {error}, in {text!r}") from error


def _env(arguments: argparse.Namespace) -> dict[str, str | None]:
    env: dict[str, str | None] = {}
    for setting in arguments.env or ():
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise UsageError(f"--env: write NAME=VALUE, got {setting!r}")
        env[name] = value
    env.update(dict.fromkeys(arguments.unset_env or ()))
    return env


def add_changes(modify: argparse.ArgumentParser) -> None:
    """Add an option for each field of `conducto_core.run.model.requests.Changes`."""
    modify.add_argument("--command", metavar="TEXT", help="the script of an Exec")
    modify.add_argument(
        "--env", metavar="NAME=VALUE", action="append", help="set a variable; may be repeated"
    )
    modify.add_argument(
        "--unset-env", metavar="NAME", action="append", help="remove a variable; may be repeated"
    )
    for name, metavar, text in (
        ("cpu", "CPUS", "processors, e.g. 0.5"),
        ("mem", "GB", "memory"),
        ("gpu", "N", "graphics processors"),
        ("image", "NAME", "an image of this pipeline"),
        ("docker-run-args", "ARGS", "further arguments of docker run, as in a shell"),
        ("max-time", "TIME", "longest time it may run: seconds, or e.g. 1h30m"),
        ("max-concurrent", "N", "maximum of Execs below that run at the same time"),
        ("retry-lost", "N", "runs again at most so often where its container is lost"),
        ("retry", "POLICY", "automatic retries, such as '3 delay=10s backoff=2 on=75,timeout'"),
        ("budget", "DOLLARS", "maximum cost of the node in the cloud"),
        ("doc", "TEXT", "its description, markdown"),
    ):
        modify.add_argument(f"--{name}", metavar=metavar, help=text)
    modify.add_argument(
        "--container-reuse-context",
        choices=("new", "global", ""),
        help="which containers the Execs below share",
    )
    modify.add_argument(
        "--spot", choices=("yes", "no", "only", ""), help="whether cloud workers are Spot tasks"
    )
    for name, text in (
        ("stop-on-error", "whether a Serial stops at the first error"),
        ("suppress-errors", "whether a group is done although something below failed"),
        ("requires-docker", "whether commands may use the engine"),
    ):
        modify.add_argument(f"--{name}", choices=("yes", "no", ""), help=text)
