"""The connection between the author API and the command line of the host.

The author API runs inside images, which have only the standard library and this package. Everything
that needs the host (launching, the commands for users, secrets that scripts declare) uses this
module, which reports systems and Python versions that do not support it.
"""

# ruff: noqa: PLC0415
# The host's packages are absent in images.

from __future__ import annotations

import sys

from conducto import distribution, platforms
from conducto.errors import HostRequiredError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Dict, NoReturn, Optional, Sequence, Tuple

    from conducto_cli.author_api import python_client as python_client


_USAGE = 2
_OLDEST_PYTHON = (3, 11)
_PACKAGE = "conducto_cli"


def run(argv: Sequence[str]) -> int:
    """Run a command for users, such as ``conducto show``; return its exit code."""
    host = _host("run this command")
    return _USAGE if host is None else int(host.run(argv))


def launch(root: object, options: object, target: str) -> int:
    """Launch a tree on ``local`` or ``cloud``; if it is to run, stay until it settles.

    Returns:
        The exit code: 0 done (or launched), 1 error or killed, 2 an invalid definition, 3 no
            engine, 130 detached with Ctrl-C.
    """
    host = _host("launch")
    return _USAGE if host is None else int(host.launch(root, options, target))


def plan(root: object, options: object, target: str) -> int:
    """Print the size and the cost of a launch in the cloud; return 0, or 2 as `launch`.

    ``target``: ``local`` or ``cloud``, whose cache decides about commands.
    """
    host = _host("plan")
    return _USAGE if host is None else int(host.plan(root, options, target))


def begin_junit(file: str) -> None:
    """Replace an earlier JUnit report before the tree is made, which may fail."""
    host, _ = _find("launch")
    if host is not None:
        host.begin_junit(file)


def test_seconds(target: str, profile: Optional[str], program: str) -> Dict[str, float]:
    """Return ``{file: seconds}`` of the tests in earlier pipelines of a script."""
    host, _ = _find("launch")
    return {} if host is None else host.test_seconds(target, profile, program)


def partition_states(target: str, profile: Optional[str], function: str) -> Dict[str, str]:
    """Return ``{key: state}`` of the partitions of a function of this script."""
    host = _host("choose partitions by state")
    if host is None:
        sys.exit(_USAGE)
    states: Dict[str, str] = host.partition_states(target, profile, function)
    return states


def can_run() -> bool:
    """Return whether this Python is recent enough for the host's packages."""
    return sys.version_info >= _OLDEST_PYTHON


def secrets() -> ModuleType:
    """Return the module that stores the secrets which scripts declare (`can_run` is true)."""
    from conducto_cli import author_api

    return author_api.secrets()


def client_name(name: str, shown: str = "") -> object:
    """Return a name of the Python client, such as ``launch``.

    A script may import it at its top, also inside an image; there, only using it is an error.
    """
    shown = shown or f"co.{name}"
    host, problem = _find(f"use {shown}")
    if host is None:
        return _Missing(shown, problem)
    return getattr(host.load_python_client(), name)


class _Missing:
    """A name of the Python client where the host's packages are missing."""

    def __init__(self, name: str, problem: str) -> None:
        self._name = name
        self._problem = problem

    def __repr__(self) -> str:
        return f"<{self._name}, not available here>"

    def __call__(self, *_args: object, **_kwargs: object) -> NoReturn:
        raise HostRequiredError(f"{self._name}: {self._problem}")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise HostRequiredError(f"{self._name}: {self._problem}")


def _host(action: str) -> ModuleType | None:
    """Return the host's module, or None after an error message."""
    host, problem = _find(action)
    if host is None:
        print(f"conducto: {problem}", file=sys.stderr)  # noqa: T201
    return host


def _find(action: str) -> Tuple[Optional[ModuleType], str]:
    """Return the host's module, or None and the reason."""
    problem = platforms.refusal() or distribution.foreign()
    if problem is None and not can_run():
        problem = (
            f"to {action} you need Python 3.11 or later, this is {sys.version.split()[0]}; an "
            "older Python can print trees and run 'conducto FILE.py [METHOD ...]'"
        )
    if problem is None:
        try:
            from conducto_cli import author_api
        except ModuleNotFoundError as error:
            if error.name not in (_PACKAGE, f"{_PACKAGE}.author_api"):
                raise
            problem = (
                "the commands for the host are not installed in images; "
                "here 'conducto FILE.py [METHOD ...]' works"
            )
        else:
            return author_api, ""
    return None, problem
