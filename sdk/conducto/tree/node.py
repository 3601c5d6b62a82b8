"""The node: its parameters, images and events; its place in the tree is in `conducto.tree.place`.

A pipeline may have hundreds of thousands of nodes: what most of them do not have (an ``env``,
callbacks, a registry of images) is made when it is first needed.
"""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the modules of the tree share its nodes' slots.

from __future__ import annotations

from conducto.tree import parameters, place, registry, source, unused
from conducto.tree.errors import ImageChoiceError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

    from typing_extensions import Self, Unpack

    from conducto.image import Image
    from conducto.tree.node_params import SetParams

_MAX_LOCATED = 50_000

unused.watch()


class _Located:
    """How many nodes know where they were made, and whether all must."""

    count = 0
    always = False


class Node:
    """A node of a pipeline; use `Exec`, `Serial` or `Parallel`.

    Attributes:
        parent: The node this one is attached to, or None.
        cpu: CPUs; inherited, 1 by default. Fractions are fine.
        mem: Memory in GB; inherited, 2 by default.
        gpu: GPUs, 0 to 4; inherited, 0 by default.
        requires_docker: The command may use the engine's socket; inherited.
        skip: The node is passed over, as if it were done.
        suppress_errors: The node ends done even if a child failed.
        snapshot_on_error: Keep an Exec's container as it was when its command failed, for
            ``conducto debug --snapshot``; inherited.
        retry_lost: How often a command is run again whose container, or worker in the cloud, was
            lost while it ran; inherited, 0 by default.
        max_time: Seconds, or a text such as ``"1h30m"``; inherited, 4 hours by default.
        container_reuse_context: A value of `ContainerReuseContext`, or None to inherit.
        doc: Markdown shown with the node.
        title: Title of the pipeline; counts on the root.
        file: File that made the node, or None where it was not recorded.
        line: Line of it.
        callback_data: Free data for callbacks.
        pipeline_reservation: Instances to reserve in the cloud; counts on the root.
    """

    __slots__ = (
        "_callbacks",
        "_children",
        "_docker_run_args",
        "_env",
        "_id",
        "_image",
        "_image_name",
        "_images",
        "_max_concurrent",
        "_name",
        "_tags",
        "_up",
        "callback_data",
        "container_reuse_context",
        "cpu",
        "doc",
        "file",
        "gpu",
        "line",
        "max_time",
        "mem",
        "parent",
        "pipeline_reservation",
        "requires_docker",
        "retry_lost",
        "skip",
        "snapshot_on_error",
        "suppress_errors",
        "title",
    )

    def __init__(
        self,
        *,
        env: Optional[Dict[str, str]] = None,
        skip: bool = False,
        name: Optional[str] = None,
        cpu: Optional[float] = None,
        gpu: Optional[int] = None,
        mem: Optional[float] = None,
        requires_docker: Optional[bool] = None,
        suppress_errors: bool = False,
        snapshot_on_error: Optional[bool] = None,
        retry_lost: Optional[int] = None,
        max_time: Union[float, str, None] = None,
        max_concurrent: Optional[int] = None,
        container_reuse_context: Optional[str] = None,
        same_container: Optional[str] = None,
        image: Union[str, Image, None] = None,
        image_name: Optional[str] = None,
        docker_run_args: parameters.DockerRunArgs = None,
        doc: Optional[str] = None,
        title: Optional[str] = None,
        tags: parameters.Tags = None,
        file: Optional[str] = None,
        line: Optional[int] = None,
        callback_data: Any = None,
        pipeline_reservation: Any = None,
        **unknown: Any,
    ) -> None:
        """Set the parameters; with ``name``, attach to the innermost open ``with`` block.

        Raises:
            TypeError: an unknown parameter, or tags that are not texts.
            ValueError: ``name`` outside of a ``with`` block or with a slash in it, or a value
                that can never be right. Numbers are checked when the tree is printed.
            TreeError: the block already has a child of that name.
            ImageChoiceError: both ``image`` and ``image_name``.
        """
        if unknown:
            raise parameters.unknown(unknown)
        self._name: Optional[str] = None
        self.parent: Optional[Node] = None
        self._up: Optional[Node] = None  # a node above, mostly the root; see place.root_of
        self._children: Optional[Dict[str, Node]] = None
        self._callbacks: Optional[List[Tuple[str, Any]]] = None
        self._images: Optional[Dict[str, Image]] = None
        self._image: Optional[Image] = None
        self._image_name: Optional[str] = None
        self._id: Optional[str] = None
        self._env = None if env is None else dict(env)
        self.skip = skip
        self.cpu = cpu
        self.gpu = gpu
        self.mem = mem
        self.requires_docker = requires_docker
        self.suppress_errors = suppress_errors
        self.snapshot_on_error = snapshot_on_error
        self.retry_lost = retry_lost
        self.max_time = max_time
        self.doc = doc
        self.title = title
        self.callback_data = callback_data
        self.pipeline_reservation = pipeline_reservation
        self._max_concurrent: Optional[int] = None
        self._tags: Optional[List[str]] = None
        self._docker_run_args: Optional[List[str]] = None
        if max_concurrent is not None:
            self.max_concurrent = max_concurrent
        if tags is not None:
            self.tags = tags
        if docker_run_args is not None:
            self.docker_run_args = docker_run_args
        self.container_reuse_context = parameters.reuse_context(
            container_reuse_context, same_container
        )
        if image is not None or image_name is not None:
            self._choose_image(image, image_name)
        self._locate(file, line)
        if name is None:
            place.note_unnamed(self)
        else:
            place.join_block(self, name)

    def _choose_image(self, image: Union[str, Image, None], image_name: Optional[str]) -> None:
        if image is not None and image_name is not None:
            raise ImageChoiceError("can only specify one image")
        if image is None:
            self._image_name = image_name
        else:
            self.image = image

    def _locate(self, file: Optional[str], line: Optional[int]) -> None:
        if file is None and (_Located.count < _MAX_LOCATED or _Located.always):
            _Located.count += 1
            file, line = source.caller()
        self.file = file
        self.line = line

    @staticmethod
    def force_debug_info(val: bool) -> None:
        """Record file and line of all further nodes, not only of the first 50,000."""
        _Located.always = val

    # --- the tree ---------------------------------------------------------------------------

    __iter__ = None  # else Python would try node[0], node[1], ...

    @property
    def name(self) -> str:
        """The name below the parent, ``"/"`` for a root."""
        return "/" if self._name is None else self._name

    @property
    def children(self) -> Dict[str, Node]:
        """``{name: node}`` in order; a new empty dict if there are none."""
        return {} if self._children is None else self._children

    @property
    def root(self) -> Node:
        """The node at the top of the tree."""
        return place.root_of(self)

    def _attach(self, name: str, node: Node) -> None:
        if not isinstance(node, Node):
            raise TypeError(f"{self}: only a node can be a child, got {node!r}")
        place.attach(self, name, node)

    def __setitem__(self, name: str, node: Node) -> None:
        place.attach_by_path(self, name, node)

    def __getitem__(self, name: str) -> Node:
        return place.find(self, name)

    def __contains__(self, name: str) -> bool:
        try:
            place.find(self, name)
        except KeyError:
            return False
        return True

    def __enter__(self) -> Self:
        place.enter_block(self)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        place.leave_block(self, failing=kind is not None)

    def __str__(self) -> str:
        return place.path_of(self)

    def __repr__(self) -> str:
        return f"<conducto.{type(self).__name__} {self}>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(self.pretty(strict=False))

    def stream(self, reverse: bool = False) -> Iterator[Node]:
        """Yield every node of the subtree, parents first.

        Args:
            reverse: Yield children before their parents instead, the last first.
        """
        nodes = place.stream(self)
        return iter(list(nodes)[::-1]) if reverse else nodes

    # --- parameters -------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id, a function of the path; there is one only after `serialize`."""
        if self._id is None:
            raise AttributeError("id: a node has one only after its tree was serialized")
        return self._id

    @property
    def env(self) -> Dict[str, str]:
        """``{name: value}`` of this node; children see it too, the nearest value wins."""
        if self._env is None:
            self._env = {}
        return self._env

    @env.setter
    def env(self, value: Optional[Dict[str, str]]) -> None:
        self._env = None if value is None else dict(value)

    @property
    def tags(self) -> Optional[List[str]]:
        """Labels of the pipeline; counts on the root."""
        return self._tags

    @tags.setter
    def tags(self, value: parameters.Tags) -> None:
        self._tags = parameters.to_tags(value)

    @staticmethod
    def sanitize_tags(val: parameters.Tags) -> Optional[List[str]]:
        """Return tags as a list (`TypeError` if they are no texts)."""
        return parameters.to_tags(val)

    @property
    def docker_run_args(self) -> Optional[List[str]]:
        """Further arguments for the engine; inherited, local only."""
        return self._docker_run_args

    @docker_run_args.setter
    def docker_run_args(self, value: parameters.DockerRunArgs) -> None:
        self._docker_run_args = parameters.to_docker_run_args(value)

    @property
    def max_concurrent(self) -> Optional[int]:
        """How many Execs below this node may run at once, or None."""
        return self._max_concurrent

    @max_concurrent.setter
    def max_concurrent(self, value: Optional[int]) -> None:
        if value is not None and value == 0:
            raise ValueError("Cannot specify no concurrent nodes; max_concurrent is at least 1")
        self._max_concurrent = value

    def set(self, **params: Unpack[SetParams]) -> None:
        """Set several parameters at once; None leaves a parameter as it is.

        Raises:
            TypeError: a parameter this node does not have.
        """
        for name, value in parameters.to_set(type(self), {**params}).items():
            setattr(self, name, value)

    def get_inherited_attribute(self, attr: str) -> Any:
        """Return the value of the nearest node from this one upwards that has one, or the default.

        Args:
            attr: ``cpu mem gpu requires_docker docker_run_args image image_name max_time
                snapshot_on_error retry_lost``.
        """
        if attr in ("image", "image_name"):
            return getattr(self, attr)
        node: Optional[Node] = self
        while node is not None:
            value = getattr(node, attr)
            if value is not None:
                return value
            node = node.parent
        return parameters.INHERITED_DEFAULTS.get(attr)

    @property
    def user_set(self) -> Dict[str, Any]:
        """A copy of the inheritable values as written on this node, None where there is none."""
        return {name: self._own(name) for name in parameters.USER_SET}

    def _own(self, name: str) -> Any:
        return self._own_image_name() if name == "image_name" else getattr(self, name)

    # --- images -----------------------------------------------------------------------------

    def _own_image_name(self) -> Optional[str]:
        return self._image_name if self._image is None else self._image.name

    @property
    def image(self) -> Optional[Image]:
        """The image the node runs in, its own or the nearest above; None for the default.

        Raises:
            KeyError: no image of the tree has the node's ``image_name``.
        """
        node: Optional[Node] = self
        while node is not None:
            if node._image is not None:
                return node._image
            if node._image_name is not None:
                return registry.find_image(self.root, node._image_name)
            node = node.parent
        return None

    @image.setter
    def image(self, value: Union[str, Image, None]) -> None:
        from conducto.image import Image

        if isinstance(value, str):
            value = Image(value)
        elif value is not None and not isinstance(value, Image):
            raise ValueError(f"Unknown type for Node.image: {value!r}")
        if value is not None and value.is_named:
            self.register_image(value)
        self._image = value
        self._image_name = None

    @property
    def image_name(self) -> Optional[str]:
        """The name of the image the node runs in, its own or the nearest above."""
        node: Optional[Node] = self
        while node is not None:
            name = node._own_image_name()
            if name is not None:
                return name
            node = node.parent
        return None

    @image_name.setter
    def image_name(self, value: Optional[str]) -> None:
        self._image_name = value
        self._image = None

    def register_image(self, image: Image) -> None:
        """Make ``image`` known to the whole tree, for nodes that only give ``image_name``.

        Raises:
            DuplicateImageError: the tree has a different image of that name.
        """
        registry.register(self.root, image)

    @property
    def repo(self) -> Dict[str, Image]:
        """A copy of ``{name: image}``, the images that the tree knows by a given name."""
        images = self.root._images
        return {} if images is None else dict(images)

    def check_images(self) -> None:
        """Check the definition of every image in the tree (`DefinitionError` if one is wrong)."""
        from conducto.tree.validate import check_images

        check_images(self)

    # --- events -----------------------------------------------------------------------------

    def _on(self, event: str, callback: Any) -> None:
        if not callable(getattr(callback, "to_literal", None)):
            raise TypeError(
                f"{self}: a callback of co.callback is needed, e.g. co.callback.retry(2), "
                f"got {callback!r}"
            )
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append((event, callback))

    def on_queued(self, callback: Any) -> None:
        """Call ``callback`` when the node is queued."""
        self._on("queued", callback)

    def on_running(self, callback: Any) -> None:
        """Call ``callback`` when the node starts to run."""
        self._on("running", callback)

    def on_done(self, callback: Any) -> None:
        """Call ``callback`` when the node is done."""
        self._on("done", callback)

    def on_error(self, callback: Any) -> None:
        """Call ``callback`` when the node ends in an error."""
        self._on("error", callback)

    def on_killed(self, callback: Any) -> None:
        """Call ``callback`` when the node is killed."""
        self._on("worker_error", callback)

    def on_state_change(self, callback: Any) -> None:
        """Call ``callback`` at each change of the node's state."""
        self._on("stateChange", callback)

    def callback_literals(self) -> List[List[Any]]:
        """Return ``[[event, [name, {argument: value}]], ...]`` as the wire form has it."""
        return [
            [event, callback if isinstance(callback, list) else callback.to_literal()]
            for event, callback in self._callbacks or ()
        ]

    # --- writing down and launching -----------------------------------------------------------

    def describe(self) -> Dict[str, Any]:
        """Return the node as a flat dict: its record, with None where nothing was set."""
        from conducto.tree.records import describe

        return describe(self)

    def serialize(self, pretty: bool = False) -> str:
        """Return the tree as text: base64 of gzip of JSON, or indented JSON if ``pretty``."""
        from conducto.tree.serialise import serialize

        return serialize(self, pretty=pretty)

    @staticmethod
    def deserialize(string: str) -> Node:
        """Return the tree that `serialize` wrote.

        Raises:
            ValueError: not such a text.
        """
        from conducto.tree.serialise import deserialize

        return deserialize(string)

    def pretty(self, strict: bool = True) -> str:
        """Return the tree as it is printed.

        Args:
            strict: Raise where a command names a local file that its image does not hold.

        Raises:
            DefinitionError: a value of a node is wrong.
        """
        from conducto.tree.pretty import pretty

        return pretty(self, strict=strict)

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
            run: Begin at once instead of waiting for Run.
            run_at: Time to begin at, seconds since the epoch.
            sleep_when_done: Put it to sleep when it is done.
            public: Whoever has the link may look at it.

        Returns:
            The exit code: 0 done, 1 error or killed, 2 a wrong definition, 3 no engine.

        Raises:
            ValueError: more than one place to run.
            RuntimeError: called inside a node of another pipeline.
        """
        from conducto.tree.launching import launch

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
