"""Calls of the Python client with the errors that callers of the original expect."""

from __future__ import annotations

import contextvars
import functools
import os
import sys

from conducto import _host
from conducto.errors import ClientError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor
    from typing import Any, Dict, NoReturn, Optional, Tuple
    from typing import Callable as CallableOfCalls

# ----------------------------------------------------------------------------------------
# Errors of the parts that talk to a Conducto server.
#
# Exception
# ├── InvalidResponse            a server sent an error response
# │   └── UnauthorizedResponse   it did not accept the token
# ├── UserInputValidation        invalid input from a user
# │   ├── UserPermissionError    the object exists, but this user may not access it
# │   └── UserPathError          a path cannot be used there
# │       ├── WindowsMapError    a Windows path that cannot be mounted
# │       └── WSLMapError        the same in the Windows Subsystem for Linux
# └── NotAvailableError          this version has no server for that yet
#
# The names are those of the client that pipelines were written for, so that their ``except``
# clauses still work.


class InvalidResponse(Exception):  # noqa: N818 - the name is part of the public API
    """A server's response was not a success.

    Attributes:
        status_code: HTTP status, or ``None`` if there was no response.
    """

    def __init__(
        self,
        *args: object,
        status_code: int | None = None,
        url: str | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(*args)
        self.status_code = status_code
        self.url = url
        self.content_type = content_type


class UnauthorizedResponse(InvalidResponse):
    """The server did not accept the token (HTTP 401)."""


class UserInputValidation(Exception):  # noqa: N818 - the name is part of the public API
    """Invalid input from a user; the message has the reason."""


class UserPermissionError(UserInputValidation):
    """The object exists, but this user may not access it."""


class UserPathError(UserInputValidation):
    """A path cannot be used where it is needed."""


class WindowsMapError(UserPathError):
    """A Windows path cannot be mounted into a container."""


class WSLMapError(UserPathError):
    """A path of the Windows Subsystem for Linux cannot be mounted into a container."""


class NotAvailableError(RuntimeError):
    """A feature needs a part of Conducto that this version does not have yet.

    Attributes:
        what: The missing part, as a noun phrase.
        remedy: A sentence with an alternative; may be empty.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        text = f"{what} is not available yet in this version of Conducto."
        super().__init__(f"{text} {remedy}".rstrip())
        self.what = what
        self.remedy = remedy


# ----------------------------------------------------------------------------------------
# Placeholders for operations of a later server, and thread-pool variants of the services.
#
# A placeholder is an ordinary method: it can be looked up, and only calling it fails, with a
# message about the missing part and an alternative.


def not_yet(what: str, remedy: str = "") -> Callable[..., NoReturn]:
    """Return a method that raises ``NotAvailableError(what, remedy)`` when called."""

    def method(*_args: object, **_kwargs: object) -> NoReturn:
        raise NotAvailableError(what, remedy)

    method.__doc__ = f"{what}: not available yet."
    return method


class _Threaded:
    """Wraps one service: every method becomes awaitable and runs in a thread."""

    _service: type

    def __init__(self, pool: Executor | None = None) -> None:
        self._sync: object = self._service()
        self._pool = pool

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._sync, name)
        if not callable(method):
            raise AttributeError(f"{type(self).__name__!r} has no method {name!r}")  # noqa: TRY004

        async def call(*args: object, **kwargs: object) -> object:
            import asyncio  # noqa: PLC0415 - slow to import, and most scripts never wait

            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._pool, functools.partial(method, *args, **kwargs)
            )

        return call


def threaded(service: type) -> type[_Threaded]:
    """Return the variant of ``service`` whose methods are coroutines run in threads."""
    name = f"Async{service.__name__}"
    doc = f"``{service.__name__}`` with awaitable methods, run in ``pool`` or the loop's own."
    return type(name, (_Threaded,), {"_service": service, "__doc__": doc})


# ----------------------------------------------------------------------------------------
# The target of this process, on which the services of `conducto.api` work.


#: Target, profile and script of the launch whose pipeline this thread or task defines.
_LAUNCH: contextvars.ContextVar[Optional[Tuple[str, Optional[str], Optional[str]]]] = (
    contextvars.ContextVar("conducto_launch", default=None)
)
_OPTIONS = {
    "--local": "local",
    "--cloud": "cloud",
    "--conducto.local": "local",
    "--conducto.cloud": "cloud",
}


class Launching:
    """A context in which a pipeline is defined that is launched on a target.

    Args:
        target: ``local`` or ``cloud``; None for a tree that is printed, which is of this machine.
        profile: The profile; None is the one in use.
        program: The script; None is that of this process.
    """

    def __init__(
        self, target: Optional[str], profile: Optional[str] = None, program: Optional[str] = None
    ) -> None:
        self._launch = ("cloud" if target == "cloud" else "local", profile, program)

    def __enter__(self) -> None:
        self._token = _LAUNCH.set(self._launch)

    def __exit__(self, *_: object) -> None:
        _LAUNCH.reset(self._token)


def is_launching() -> bool:
    """Return whether this thread or task defines a pipeline."""
    return _LAUNCH.get() is not None


def of_launch() -> Optional[str]:
    """Return the target of the launch that this process is for; None if it launches nothing.

    Before ``co.main`` has read the command line, its first ``--local`` or ``--cloud`` decides.
    """
    launch = _LAUNCH.get()
    if launch is not None:
        return launch[0]
    options = [_OPTIONS[word] for word in sys.argv[1:] if word in _OPTIONS]
    return options[0] if options else None


def profile_of_launch() -> Optional[str]:
    """Return the profile that a launch was given; None is the one in use."""
    launch = _LAUNCH.get()
    return None if launch is None else launch[1]


def program_of_launch() -> str:
    """Return the script whose pipeline is launched."""
    launch = _LAUNCH.get()
    given = None if launch is None else launch[2]
    return given or (sys.argv[0] if sys.argv else "")


def of_process() -> str:
    """Return the target of this process: of its launch, else of its profile, else this machine."""
    found = of_launch()
    if found is None and not in_node():
        from conducto.api.config import Config, current_profile  # noqa: PLC0415 - reads files

        found = Config.get_profile_config(current_profile()).get("general", "target", fallback=None)
    return "cloud" if found == "cloud" else "local"


def in_node() -> bool:
    """Return whether this process is a command of a pipeline."""
    return bool(os.environ.get("__RUN_BY_WORKER__") or os.environ.get("CONDUCTO_EXECUTION_ENV"))


_UNAUTHORIZED = 401


def client(name: str) -> CallableOfCalls[..., Any]:
    """Return a function of the Python client, which raises the errors of this package."""
    return _translated(_host.client_name(name))


def original(name: str) -> CallableOfCalls[..., Any]:
    """Return a function that only the original's API needs; likewise."""
    module: Any = _host.client_name("original", "co.api")
    return _translated(getattr(module, name))


def found(pipeline_id: str) -> Any:
    """Return the handle of a pipeline on the target of this process."""
    return client("get_pipeline")(pipeline_id, **target_arguments())


def target_arguments() -> Dict[str, Optional[str]]:
    """Return the target and the profile of this process, as arguments."""
    return {"target": of_launch(), "profile": profile_of_launch()}


def result_of(call: CallableOfCalls[[], Any]) -> Any:
    """Return the result of a call; raise the errors that callers of the original expect."""
    try:
        return call()
    except (ClientError, UsageError) as error:
        status = getattr(error, "status", None)
        kind = UnauthorizedResponse if status == _UNAUTHORIZED else InvalidResponse
        raise kind(str(error), status_code=status) from error


def _translated(function: Any) -> CallableOfCalls[..., Any]:
    return lambda *args, **kwargs: result_of(lambda: function(*args, **kwargs))
