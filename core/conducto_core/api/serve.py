"""Handlers of operations: the methods that `serves` marks, and the table of those of one server."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from conducto_core.api.downloads import ByteRange
from conducto_core.api.operation import AnyOperation
from conducto_core.errors import RefusedError
from conducto_core.record import Record
from conducto_core.run.model import params as p

P = TypeVar("P", bound=Record)
B = TypeVar("B")
F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__serves__"


@dataclass(frozen=True, slots=True)
class OperationCall(Generic[P, B]):
    """A parsed request: parameters of path and query, and the body (None without one).

    Attributes:
        span: The requested part of the content, for a download.
        key: The idempotency key.
        repeated: An earlier request with this key was interrupted; it may have been executed.
    """

    params: P
    body: B
    span: ByteRange | None = None
    key: str | None = None
    repeated: bool = False


def serves(*operations: AnyOperation) -> Callable[[F], F]:
    """Mark an asynchronous method as the handler of operations; it stays as it is.

    Its arguments are the parameters (unless they are `NoParams`) and the body (if there is one);
    ``span`` for a download; ``key`` and ``repeated`` for a resumable operation.
    """

    def mark(method: F) -> F:
        setattr(method, _MARK, operations)
        return method

    return mark


@cache
def handlers_of(kind: type) -> Mapping[str, str]:
    """Return ``{name of the operation: name of its handler}`` of a class with its base classes.

    A method that overrides a handler without a mark is the handler, too.

    Raises:
        TypeError: Two methods of the class are handlers of one operation.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        for name, value in vars(base).items():
            for operation in getattr(value, _MARK, ()):
                other = found.setdefault(operation.name, name)
                if other != name:
                    raise TypeError(
                        f"{kind.__name__}: two handlers of {operation.name}: {other} and {name}"
                    )
    return found


class Handlers:
    """The handlers of one server, found by operation.

    Args:
        servers: Objects with handlers.

    Raises:
        TypeError: Two of them have a handler of the same operation.
    """

    def __init__(self, *servers: object) -> None:
        self._methods: dict[str, Callable[..., Any]] = {}
        for server in servers:
            kind: Any = type(server)
            for operation, name in handlers_of(kind).items():
                if operation in self._methods:
                    raise TypeError(f"two servers have a handler of {operation}")
                self._methods[operation] = getattr(server, name)

    def check_complete(self, operations: Iterable[AnyOperation]) -> None:
        """Check that each operation has a handler, or a refusal (``elsewhere``).

        Raises:
            TypeError: One has neither.
        """
        missing = sorted(
            operation.name
            for operation in operations
            if operation.name not in self._methods and operation.elsewhere is None
        )
        if missing:
            raise TypeError(f"no handler of {', '.join(missing)}")

    async def call(self, operation: AnyOperation, call: OperationCall[Any, Any]) -> Any:
        """Execute an operation, and return its response.

        Raises:
            RefusedError: This server does not have the operation, which others have.
        """
        method = self._methods.get(operation.name)
        if method is None:
            if operation.elsewhere is None:
                raise TypeError(f"no handler of {operation.name}")
            raise RefusedError(operation.elsewhere(call.params, call.body))
        arguments = [] if operation.params is p.NoParams else [call.params]
        if operation.body is not None:
            arguments.append(call.body)
        if operation.is_download:
            return await method(*arguments, span=call.span)
        if operation.resumable:
            return await method(*arguments, key=call.key, repeated=call.repeated)
        return await method(*arguments)
