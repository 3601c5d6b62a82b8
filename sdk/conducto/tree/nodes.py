"""The kinds of nodes: Exec, Serial, Parallel, and Notebook, an Exec for a notebook."""

# ruff: noqa: PLC0415, PTH118
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os

from conducto.tree import parameters, source
from conducto.tree.errors import TreeError
from conducto.tree.node import Node
from conducto.tree.text import unindent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Optional, Union, overload

    from typing_extensions import Unpack

    from conducto.tree.node_params import AnyPath, GroupParams, NodeParams, NotebookValue


class Parallel(Node):
    """A node whose children run all at once."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, **params: Unpack[GroupParams]) -> None:
            """Set the parameters; see `Node`."""


class Serial(Node):
    """A node whose children run one after another, in the order they were attached.

    Attributes:
        stop_on_error: After a child's error the later ones stay pending. Any value that is true
            in Python counts as True, the text ``"False"`` too.
    """

    __slots__ = ("stop_on_error",)

    def __init__(self, *, stop_on_error: bool = True, **params: Unpack[GroupParams]) -> None:
        """Set the parameters; see `Node`."""
        self.stop_on_error = stop_on_error
        super().__init__(**params)


class Exec(Node):
    """A node that runs one command in a container.

    Attributes:
        command: A shell script. It is done if its last command exits with 0.
    """

    __slots__ = ("_unfindable", "command", "is_notebook")

    if TYPE_CHECKING:

        @overload
        def __init__(
            self, command: str, *, params: NodeParams = ..., **more: Unpack[NodeParams]
        ) -> None: ...
        @overload
        def __init__(
            self,
            command: Callable[..., object],
            *args: Any,
            params: NodeParams = ...,
            **kwargs: Any,
        ) -> None: ...

    def __init__(self, command: Union[str, Callable[..., Any]], *args: Any, **kwargs: Any) -> None:
        """Make a node of a shell command or of a Python function.

        Args:
            command: A shell script, or a function that a file of yours defines at its top level.
            *args: Arguments of the function; none for a shell script.
            **kwargs: Of a shell script: node parameters. Of a function: its arguments; its node
                parameters come as ``params=co.Params(...)``.

        Raises:
            TypeError: the command is neither, or the arguments do not fit the function.
            ValueError: positional arguments for a shell script, or a parameter given twice.
        """
        self.is_notebook = False
        self._unfindable: Optional[str] = None  # why a container cannot find the function
        if isinstance(command, str):
            if args:
                raise ValueError(
                    f"Only allowed arg is command. Got:\n  command={command!r}\n  args={args!r}\n"
                    f"  kwargs={kwargs!r}"
                )
            if "params" in kwargs:
                kwargs = parameters.merge(kwargs, kwargs.pop("params"))
            self.command = unindent(command)
        elif callable(command):
            from conducto.native import command_of, problem_of

            params = parameters.merge({}, kwargs.pop("params", None))
            self.command = command_of(command, args, kwargs)
            self._unfindable = problem_of(command)
            kwargs = {k: v() if callable(v) else v for k, v in params.items()}
        else:
            raise TypeError(
                f"command must be text or a function, got {command!r}; write what to run, "
                "or 'true' to run nothing"
            )
        if kwargs.get("max_concurrent") is not None:
            raise ValueError(parameters.LONELY.format(kwargs["max_concurrent"]))
        super().__init__(**kwargs)

    def _attach(self, name: str, node: Node) -> None:  # noqa: ARG002 (an Exec refuses any)
        raise TreeError(
            f"Adding node {name} violates the integrity of the pipeline: {self} is an Exec, "
            "only Serial and Parallel have children"
        )


class Notebook(Exec):
    """A node that runs a Jupyter notebook, with ``conducto-notebook`` in its container."""

    __slots__ = ()

    def __init__(
        self, path: AnyPath, *, params: Optional[NodeParams] = None, **kwargs: NotebookValue
    ) -> None:
        """Make a node of the notebook at ``path``.

        Args:
            path: Path of the notebook, absolute or relative to the calling file.
            params: Node parameters, as ``co.Params(...)``.
            **kwargs: Parameters of the notebook: text, whole numbers, floats, bools.

        Raises:
            TypeError: a parameter of another type.
        """
        from conducto.native import notebook_arguments
        from conducto.tree import paths

        full = os.path.normpath(os.path.join(source.caller_directory(), os.fspath(path)))
        super().__init__("", **parameters.merge({}, params))
        self.command = f"conducto-notebook {paths.draft(full)}{notebook_arguments(kwargs)}"
        self.is_notebook = True
