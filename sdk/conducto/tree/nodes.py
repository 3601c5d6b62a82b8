"""The kinds of nodes: Exec, Serial, Parallel, and Notebook, an Exec for a notebook.

`Node` adds methods that print, check and launch trees to `conducto.tree.node_base.NodeBase`.
"""

# ruff: noqa: PLC0415, PTH118
# imports wait until they are needed; pathlib is a heavy import.

from __future__ import annotations

import os

from conducto.errors import TreeError
from conducto.inspection import call_site
from conducto.tree import parameters, unused
from conducto.tree.node_base import NodeBase
from conducto.tree.text import unindent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import (
        Any,
        Callable,
        Dict,
        Generic,
        Iterator,
        List,
        Optional,
        Tuple,
        Union,
        overload,
    )

    from typing_extensions import TypeVar, Unpack

    from conducto.tree.node_params import AnyPath, ExecParams, GroupParams, NotebookValue
    from conducto.tree.references import ResultReference

    R = TypeVar("R", default=Any)
else:
    R = None


unused.watch()


class Node(NodeBase):
    """A node of a pipeline; use `Exec`, `Serial` or `Parallel`.

    Attributes:
        parent: The node to which this one is attached, or None.
        cpu: CPUs; inherited, 1 by default. Fractions are allowed.
        mem: Memory in GB; inherited, 2 by default. ``"auto"``: from the memory of earlier attempts.
        gpu: GPUs, 0 to 16; inherited, 0 by default.
        arch: ``"x86_64"`` or ``"arm64"``, the processors of the machine; inherited. The default is
            ``"x86_64"`` in the cloud and the machine's own locally.
        spot: Whether workers in the cloud are Spot tasks, which are cheaper and may be interrupted:
            True, False, or ``"only"`` to wait rather than run on demand; inherited. None is the
            share that the installation has.
        machine: Name of a class of machines that the administrator of the installation declares,
            such as ``"gpu"``; inherited. None is Fargate. Locally it means nothing.
        services: Containers beside commands, such as ``{"db": co.Service("postgres:16",
            port=5432)}``, with those of the nodes above; ``{"db": None}`` removes one.
        buckets: Buckets of S3 as directories, such as ``{"/data/raw": co.Bucket("s3://acme/raw")}``,
            with those of the nodes above; ``{"/data/raw": None}`` removes one.
        requires_docker: The command may use the engine's socket; inherited.
        skip: Do not run the node; the pipeline continues as if it were done.
        run_if: A condition on the results of earlier nodes, such as ``check.result == "changed"``.
            If it does not hold when the node's turn has come, the node is skipped.
        suppress_errors: The node ends done even if a child failed.
        snapshot_on_error: Keep the container files of a failed Exec, for ``conducto debug
            --snapshot``; inherited.
        budget: Dollars that the commands at or below the node may cost in the cloud, or None.
        budget_action: ``"kill"`` stops running commands when the budget is used up; by default they
            finish.
        retry: Automatic retries of a failed command, such as ``co.retry(3, delay=10, backoff=2)``;
            inherited.
        retry_lost: How often a command is repeated whose container, or worker in the cloud, was
            lost while it ran; inherited, 0 by default.
        max_time: Seconds, or a text such as ``"1h30m"``; inherited, 4 hours by default.
        junit: Patterns of the JUnit files that commands write, such as ``"reports/*.xml"``, below
            their working directory; inherited.
        coverage: Patterns of their coverage files (Cobertura, LCOV or JaCoCo), such as
            ``"coverage.xml"``; inherited.
        limits: Named limits across pipelines that commands count in, such as ``co.Limit("db", 3)``;
            those of the nodes above count, too.
        secrets: Names of the secrets that commands get, such as ``["NPM_TOKEN"]``, and no others;
            inherited. Without it a command gets all, and a cached command none.
        cache: Use the result of an equal command that ran before, instead of running again: True,
            False, or ``co.Cache(max_age="30d")``; inherited.
        code: Names of the files of the image that count for the cache, such as ``["src/"]``;
            inherited. Without it every copied file counts.
        container_reuse_context: A value of `ContainerReuseContext`, or None to inherit.
        doc: Markdown shown with the node.
        title: Title of the pipeline; set it on the root.
        file: File that created the node, or None if it was not recorded.
        line: Line in that file.
        line: Line in that file.
        callback_data: Free data for callbacks.
        pipeline_reservation: Instances to reserve in the cloud; set it on the root.
    """

    __slots__ = ()
    _kind = "Node"

    if TYPE_CHECKING:
        parent: Optional[Node]

        @property
        def children(self) -> Dict[str, Node]:
            """``{name: node}`` in order; a new empty dict if there are none."""

        @property
        def root(self) -> Node:
            """The node at the top of the tree."""

        def __getitem__(self, name: str) -> Node:
            """Return the node at a path."""

        def stream(self, reverse: bool = False) -> Iterator[Node]:
            """Yield every node of the subtree, parents first, or last if ``reverse``."""

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.pretty(strict=False))

    def check_images(self) -> None:
        """Check the definition of every image in the tree (`DefinitionError` if one is invalid)."""
        from conducto.tree.validate import check_images

        check_images(self)

    def describe(self) -> Dict[str, Any]:
        """Return the node as a flat dict: its record, with None for values that are not set."""
        from conducto.tree.wire_records import describe

        return describe(self)

    def serialize(self, pretty: bool = False) -> str:
        """Return the tree as text: base64 of gzip of JSON, or indented JSON if ``pretty``."""
        from conducto.tree.serialize import serialize

        return serialize(self, pretty=pretty)

    @staticmethod
    def deserialize(string: str) -> Node:
        """Return the tree of a text from `serialize`.

        Raises:
            ValueError: the text is not a serialized tree.
        """
        from conducto.tree.serialize import deserialize

        root: Node = deserialize(string)
        return root

    def pretty(self, strict: bool = True) -> str:
        """Return the tree as it is printed.

        Args:
            strict: Raise an error for a command that names a local file its image does not contain.

        Raises:
            DefinitionError: a value of a node is invalid.
        """
        from conducto.tree.serialize import pretty

        return pretty(self, strict=strict)

    @parameters.also_settable("may_launch")
    def launch(  # noqa: PLR0917 (the order is a contract)
        self,
        local: bool = False,
        cloud: bool = False,
        k8s: bool = False,
        shell: bool = False,
        app: bool = True,
        retention: int = 7,
        run: bool = False,
        run_at: Optional[float] = None,
        sleep_when_done: bool = False,
        public: bool = False,
    ) -> int:
        """Start the pipeline; in the cloud if neither ``local`` nor ``k8s`` is given.

        Args:
            local: Run it on this machine.
            cloud: Run it in the cloud.
            k8s: Run it in a Kubernetes cluster.
            shell: Stay attached with the text interface.
            app: Open the web app.
            retention: Days without activity after which it is deleted.
            run: Start at once instead of waiting for Run.
            run_at: Time to start at, seconds since the epoch.
            sleep_when_done: Put it to sleep when it is done.
            public: Anyone with the link may see it.

        Returns:
            The exit code: 0 done, 1 error or killed, 2 an invalid definition, 3 no engine.

        Raises:
            ValueError: several targets were given.
            RuntimeError: called inside a node of another pipeline.
        """
        from conducto.tree.launch import launch

        modes = {"local": local, "cloud": cloud, "k8s": k8s}
        return launch(
            self,
            modes,
            shell=shell,
            app=app,
            retention=retention,
            run=run,
            run_at=run_at,
            sleep_when_done=sleep_when_done,
            public=public,
        )

    def launch_local(
        self,
        use_shell: bool = True,
        retention: int = 7,
        run: bool = False,
        sleep_when_done: bool = False,
    ) -> int:
        """Start the pipeline on this machine; see `launch`."""
        return self.launch(
            local=True,
            shell=use_shell,
            retention=retention,
            run=run,
            sleep_when_done=sleep_when_done,
        )


class Parallel(Node):
    """A node whose children run at the same time."""

    __slots__ = ()
    _kind = "Parallel"

    if TYPE_CHECKING:

        def __init__(self, **params: Unpack[GroupParams]) -> None:
            """Set the parameters; see `Node`."""


class Serial(Node):
    """A node whose children run one after another, in the order in which they were attached.

    Attributes:
        stop_on_error: After a child's error the later ones stay pending. A text, even ``"False"``,
            counts as True, with a warning: scripts for the original contain some.
    """

    __slots__ = ("stop_on_error",)
    _kind = "Serial"

    def __init__(self, *, stop_on_error: bool = True, **params: Unpack[GroupParams]) -> None:
        """Set the parameters; see `Node`."""
        self.stop_on_error = stop_on_error
        super().__init__(**params)


if TYPE_CHECKING:

    class _Typed(Node, Generic[R]):
        pass

else:

    class _Typed(Node):
        """For type checkers, a node with the type of its result; nothing at run time."""

        __slots__ = ()

        def __class_getitem__(cls, _kind: object) -> type:
            return cls


class Exec(_Typed[R]):
    """A node that runs one command in a container.

    Attributes:
        command: A shell script. It is done if its last command exits with 0.
    """

    __slots__ = ("_references", "_unfindable", "approval", "command", "is_notebook")
    _kind = "Exec"

    if TYPE_CHECKING:

        @overload
        def __init__(
            self: Exec[Any], command: str, *, params: ExecParams = ..., **more: Unpack[ExecParams]
        ) -> None: ...
        @overload
        def __init__(
            self,
            command: Callable[..., R],
            *args: Any,
            params: ExecParams = ...,
            **kwargs: Any,
        ) -> None: ...

    def __init__(self, command: Union[str, Callable[..., Any]], *args: Any, **kwargs: Any) -> None:
        """Create a node from a shell command or a Python function.

        Args:
            command: A shell script, or a function defined at the top level of one of your files.
            *args: Arguments of the function; none for a shell script.
            **kwargs: For a shell script: node parameters. For a function: its arguments; pass node
                parameters as ``params=co.Params(...)``. ``results``, a list of paths of nodes or of
                references such as ``node.result``, declares results that the command reads.

        Raises:
            TypeError: the command is neither, or the arguments do not fit the function.
            ValueError: positional arguments for a shell script, or a parameter given twice.
        """
        self.is_notebook = False
        self.approval: Optional[Dict[str, Any]] = None  # of `conducto.Approve`
        self._unfindable: Optional[str] = None  # why a container cannot find the function
        self._references: List[ResultReference] = []
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
            from conducto.tree.native import command_of, has_parameter, problem_of

            params = parameters.merge({}, kwargs.pop("params", None))
            if "results" in kwargs and not has_parameter(command, "results"):
                params = {**params, "results": kwargs.pop("results")}
            self.command = command_of(command, args, kwargs, self._references)
            self._unfindable = problem_of(command)
            kwargs = {k: v() if callable(v) else v for k, v in params.items()}
        else:
            raise TypeError(
                f"command must be text or a function, got {command!r}; write what to run, "
                "or 'true' to run nothing"
            )
        self._use_results(kwargs.pop("results", None))
        if kwargs.get("max_concurrent") is not None:
            raise ValueError(parameters.LONELY.format(kwargs["max_concurrent"]))
        super().__init__(**kwargs)

    def _use_results(self, values: Any) -> None:
        if values is not None:
            from conducto.tree.references import to_references

            self._references = [*self._references, *to_references(values)]

    @property
    def result(self) -> ResultReference[R]:
        """A reference to the return value of the node's function, for a later node.

        ``co.Exec(evaluate, train.result)`` passes the value to ``evaluate``.
        """
        from conducto.tree.references import ResultReference

        return ResultReference(self)

    @property
    def results(self) -> Tuple[str, ...]:
        """Paths of the nodes whose results the command uses."""
        if not self._references:
            return ()
        from conducto.tree.references import paths_of

        return tuple(dict.fromkeys(paths_of(self._references)))

    @results.setter
    def results(self, values: Any) -> None:
        self._references = []
        self._use_results(values)

    def _attach(self, name: str, node: NodeBase) -> None:  # noqa: ARG002 (an Exec refuses any)
        raise TreeError(
            f"Adding node {name} violates the integrity of the pipeline: {self} is an Exec, "
            "only Serial and Parallel have children"
        )


class Notebook(Exec):
    """A node that runs a Jupyter notebook, with ``conducto-notebook`` in its container."""

    __slots__ = ()

    def __init__(
        self, path: AnyPath, *, params: Optional[ExecParams] = None, **kwargs: NotebookValue
    ) -> None:
        """Create a node from the notebook at ``path``.

        Args:
            path: Path of the notebook, absolute or relative to the calling file.
            params: Node parameters, as ``co.Params(...)``.
            **kwargs: Parameters of the notebook: text, whole numbers, floats, bools.

        Raises:
            TypeError: a parameter of another type.
        """
        from conducto.tree.native import notebook_arguments
        from conducto.wire import paths

        full = os.path.normpath(os.path.join(call_site.caller_directory(), os.fspath(path)))
        super().__init__("", **parameters.merge({}, params))
        self.command = f"conducto-notebook {paths.draft(full)}{notebook_arguments(kwargs)}"
        self.is_notebook = True
