"""Placeholders for operations of a later server, and thread-pool variants of the services.

A placeholder is an ordinary method: it can be looked up, and only calling it fails, with a message
about the missing part and an alternative.
"""

from __future__ import annotations

import functools

from conducto.api.errors import NotAvailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Executor
    from typing import Any, NoReturn


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
