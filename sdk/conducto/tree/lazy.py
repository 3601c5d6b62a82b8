"""Lazy: a part of the tree that is generated while the pipeline runs."""

# ruff: noqa: PLC0415
# imports wait until they are needed.

from __future__ import annotations

from conducto.errors import TreeError
from conducto.tree.nodes import Exec, Parallel, Serial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Union, overload

    from typing_extensions import Unpack

    from conducto.tree.node_params import ExecParams
    from conducto.tree.nodes import Node


if TYPE_CHECKING:

    @overload
    def Lazy(
        command_or_func: str, *, params: ExecParams = ..., **more: Unpack[ExecParams]
    ) -> Serial: ...
    @overload
    def Lazy(
        command_or_func: Callable[..., Node], *args: Any, params: ExecParams = ..., **kwargs: Any
    ) -> Serial: ...


def Lazy(command_or_func: Union[str, Callable[..., Any]], *args: Any, **kwargs: Any) -> Serial:  # noqa: N802 (the name is the original's)
    """Return a Serial whose child ``Generate`` prints the tree that its child ``Execute`` runs.

    Args:
        command_or_func: A function annotated to return a node, or a command that prints a
            serialised tree.
        *args: Arguments of the function.
        **kwargs: As for `Exec`; they apply to ``Generate`` only. Set parameters for ``Execute`` on
            the Serial that is returned.

    Raises:
        TreeError: ``name=`` was given; attach the result by assignment instead.
    """
    if isinstance(command_or_func, str) and "name" in kwargs:
        raise TreeError(
            "Adding node Generate violates the integrity of the pipeline: a Lazy takes no name=; "
            "write parent[{!r}] = co.Lazy(...)".format(kwargs["name"])
        )
    from conducto import callback

    lazy = Serial()
    generate = Exec(command_or_func, *args, **kwargs)
    lazy["Generate"] = generate
    lazy["Execute"] = Parallel()
    generate.on_done(callback.deserialize_into_node(target=lazy["Execute"]))
    return lazy


def lazy_py(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Serial:
    """Return ``Lazy(func, *args, **kwargs)``."""
    return Lazy(func, *args, **kwargs)


def lazy_shell(command: str, env: Optional[Dict[str, str]] = None, **exec_args: Any) -> Serial:
    """Return ``Lazy(command, **exec_args)`` with ``env`` on the Serial around both children."""
    lazy = Lazy(command, **exec_args)
    lazy.env = {} if env is None else env
    return lazy
