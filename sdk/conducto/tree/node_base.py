"""The node: its parameters, its images and its events.

A pipeline may have hundreds of thousands of nodes, thousands of levels deep: parts that most nodes
lack (an ``env``, callbacks, a registry of images) are created on first use, and nothing here
recurses. `conducto.tree.structure` keeps the tree together; `conducto.tree.nodes` adds the kinds of
nodes, and methods that print and launch trees.
"""

# ruff: noqa: PLC0415, SLF001
# imports wait until they are needed; the functions of the tree share the nodes' slots.

from __future__ import annotations

from conducto.errors import ImageChoiceError
from conducto.inspection import call_site
from conducto.tree import parameters, structure
from conducto.tree.node_env import EnvParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import (
        Any,
        Callable,
        Dict,
        Iterator,
        List,
        Mapping,
        Optional,
        Sequence,
        Tuple,
        Union,
    )

    from typing_extensions import Self, Unpack

    from conducto.tree.conditions import Condition
    from conducto.tree.image import Image
    from conducto.tree.node_params import SetParams
    from conducto.wire.buckets import Buckets
    from conducto.wire.caching import Cache
    from conducto.wire.maps import MapOptions
    from conducto.wire.named_limits import Limit
    from conducto.wire.retries import Retry
    from conducto.wire.services import Services

_MAX_LOCATED = 50_000
_RUNNABLE = ("Exec", "Serial", "Parallel")
#: ``{type on the wire: its class}``, filled by `conducto.tree.nodes`.
KINDS: Dict[str, type] = {}


class _Located:
    """The number of nodes with a recorded source line, and whether all need one."""

    count = 0
    always = False


class NodeBase(EnvParams):
    """A node without the methods that print, launch or serialize trees.

    Its attributes are those of `conducto.tree.nodes.Node`.
    """

    __slots__ = (
        "_buckets",
        "_cache",
        "_callbacks",
        "_calls",
        "_children",
        "_docker_run_args",
        "_expansion",
        "_id",
        "_image",
        "_image_name",
        "_images",
        "_limits",
        "_max_concurrent",
        "_name",
        "_retry",
        "_run_if",
        "_services",
        "_tags",
        "_up",
        "arch",
        "budget",
        "budget_action",
        "callback_data",
        "code",
        "container_reuse_context",
        "cpu",
        "doc",
        "file",
        "gpu",
        "line",
        "machine",
        "map_options",
        "max_time",
        "mem",
        "parent",
        "pipeline_reservation",
        "requires_docker",
        "retry_lost",
        "secrets",
        "skip",
        "snapshot_on_error",
        "spot",
        "suppress_errors",
        "title",
    )

    #: The type on the wire; a subclass inherits it.
    _kind = ""

    if TYPE_CHECKING:  # attributes of one kind only
        _references: List[Any]
        _unfindable: Optional[str]
        approval: Optional[Dict[str, Any]]
        command: str
        is_notebook: bool
        stop_on_error: bool

        @property
        def results(self) -> Any:
            """See `conducto.tree.nodes.Exec` and `conducto.maps.Mapped`."""

    def __init_subclass__(cls) -> None:
        if "_kind" in vars(cls) and cls._kind in _RUNNABLE:
            KINDS[cls._kind] = cls

    def __init__(  # noqa: PLR0915  a statement for each parameter
        self,
        *,
        env: Optional[Dict[str, str]] = None,
        skip: bool = False,
        run_if: Any = None,
        name: Optional[str] = None,
        cpu: Optional[float] = None,
        gpu: Optional[int] = None,
        mem: Union[float, str, None] = None,
        arch: Optional[str] = None,
        spot: Union[bool, str, None] = None,
        machine: Optional[str] = None,
        requires_docker: Optional[bool] = None,
        services: parameters.ServicesGiven = None,
        buckets: parameters.BucketsGiven = None,
        suppress_errors: bool = False,
        snapshot_on_error: Optional[bool] = None,
        budget: Optional[float] = None,
        budget_action: Optional[str] = None,
        retry: parameters.Retries = None,
        retry_lost: Optional[int] = None,
        isolate: Optional[bool] = None,
        launch: Optional[bool] = None,
        junit: Union[str, Sequence[str], None] = None,
        coverage: Union[str, Sequence[str], None] = None,
        max_time: Union[float, str, None] = None,
        max_concurrent: Optional[int] = None,
        limits: parameters.Limits = None,
        secrets: Optional[List[str]] = None,
        cache: parameters.Caches = None,
        code: Optional[List[str]] = None,
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
            ValueError: ``name`` outside of a ``with`` block or with a slash in it, or a value that
                is always invalid. Numbers are checked when the tree is printed.
            TreeError: the block already has a child of that name.
            ImageChoiceError: both ``image`` and ``image_name`` were given.
        """
        if unknown:
            raise parameters.unknown(unknown)
        self._name: Optional[str] = None
        self.parent: Optional[NodeBase] = None
        self._up: Optional[NodeBase] = (
            None  # a node above, mostly the root; see `structure.root_of`
        )
        self._children: Optional[Dict[str, NodeBase]] = None
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
        self.arch = arch
        self.spot = spot
        self.machine = machine
        self.requires_docker = requires_docker
        self.suppress_errors = suppress_errors
        self.snapshot_on_error = snapshot_on_error
        self.retry_lost = retry_lost
        self.secrets = secrets
        self.code = code
        self.max_time = max_time
        self.doc = doc
        self.title = title
        self.callback_data, self.pipeline_reservation = callback_data, pipeline_reservation
        self._max_concurrent: Optional[int] = None
        self._limits: Optional[List[Limit]] = None
        self.retry = retry
        self.run_if = run_if
        self.junit = junit
        self.coverage = coverage
        self.cache = cache
        self.services = services
        self.buckets = buckets
        self.budget = budget
        self.budget_action = budget_action
        self._tags: Optional[List[str]] = None
        self._docker_run_args: Optional[List[str]] = None
        self.map_options: Optional[MapOptions] = None  # of `conducto.map`
        #: Returns the record by which the driver expands a map (`conducto.wire.expansions`).
        self._expansion: Optional[Callable[[Any], Dict[str, Any]]] = None
        if isolate is not None:
            self.isolate = isolate
        if launch is not None:
            self.may_launch = launch
        if max_concurrent is not None:
            self.max_concurrent = max_concurrent
        if limits is not None:
            self.limits = limits
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
            structure.note_unnamed(self)
        else:
            structure.join_block(self, name)

    def _choose_image(self, image: Union[str, Image, None], image_name: Optional[str]) -> None:
        if image is not None and image_name is not None:
            raise ImageChoiceError("can only specify one image")
        if image is None:
            self._image_name = image_name
        else:
            self.image = image

    def _locate(self, file: Optional[str], line: Optional[int]) -> None:
        self._calls: Sequence[call_site.Site] = ()
        if file is None and (_Located.count < _MAX_LOCATED or _Located.always):
            _Located.count += 1
            (file, line), *self._calls = call_site.callers()
        self.file = file
        self.line = line

    @staticmethod
    def force_debug_info(val: bool) -> None:
        """Record file and line of all further nodes, not only of the first 50,000."""
        _Located.always = val

    # --- the tree ---------------------------------------------------------------------------

    __iter__ = None  # otherwise Python would try node[0], node[1], ...

    @property
    def name(self) -> str:
        """The name below the parent, ``"/"`` for a root."""
        return "/" if self._name is None else self._name

    @property
    def children(self) -> Mapping[str, NodeBase]:
        """``{name: node}`` in order; a new empty dict if there are none."""
        return {} if self._children is None else self._children

    @property
    def root(self) -> NodeBase:
        """The node at the top of the tree."""
        return structure.root_of(self)

    def _attach(self, name: str, node: NodeBase) -> None:
        if not isinstance(node, NodeBase):
            raise TypeError(f"{self}: only a node can be a child, got {node!r}")
        structure.attach(self, name, node)

    def __setitem__(self, name: str, node: NodeBase) -> None:
        structure.attach_by_path(self, name, node)

    def __getitem__(self, name: str) -> NodeBase:
        return structure.find(self, name)

    def __contains__(self, name: str) -> bool:
        return structure.walk(self, name)[1] is None

    def __enter__(self) -> Self:
        structure.enter_block(self)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        structure.leave_block(self, failing=kind is not None)

    def __str__(self) -> str:
        return structure.path_of(self)

    def __repr__(self) -> str:
        return f"<conducto.{type(self).__name__} {self}>"

    def stream(self, reverse: bool = False) -> Iterator[NodeBase]:
        """Yield every node of the subtree, parents first.

        Args:
            reverse: Yield children before their parents instead, the last first.
        """
        nodes = structure.stream(self)
        return iter(list(nodes)[::-1]) if reverse else nodes

    # --- parameters -------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id, a function of the path; it exists only after `serialize`."""
        if self._id is None:
            raise AttributeError("id: a node has one only after its tree was serialized")
        return self._id

    @property
    def limits(self) -> Optional[List[Limit]]:
        """Named limits that commands count in, with those of the nodes above; None for none."""
        return self._limits

    @limits.setter
    def limits(self, value: parameters.Limits) -> None:
        if value is not None:
            from conducto.wire.named_limits import to_limits

            value = to_limits(value)
        self._limits = value

    @property
    def retry(self) -> Optional[Retry]:
        """The automatic retries of the commands at or below this node; None to inherit them."""
        return self._retry

    @retry.setter
    def retry(self, value: parameters.Retries) -> None:
        if value is not None:
            from conducto.wire.retries import to_retry

            value = to_retry(value)
        self._retry: Optional[Retry] = value

    @property
    def run_if(self) -> Optional[Condition]:
        """The condition on earlier results under which the node runs; None for no condition."""
        return self._run_if

    @run_if.setter
    def run_if(self, value: Any) -> None:
        if value is not None:
            from conducto.tree.conditions import to_condition

            value = to_condition(value)
        self._run_if: Optional[Condition] = value

    @property
    def cache(self) -> Union[Cache, bool, None]:
        """The cache of the commands at or below this node; False for none, None to inherit it."""
        return self._cache

    @cache.setter
    def cache(self, value: parameters.Caches) -> None:
        if value is not None:
            from conducto.wire.caching import to_cache

            value = to_cache(value)
        self._cache: Union[Cache, bool, None] = value

    @property
    def services(self) -> Optional[Services]:
        """Containers beside the commands at or below this node, with those of the nodes above."""
        return self._services

    @services.setter
    def services(self, value: parameters.ServicesGiven) -> None:
        if value is not None:
            from conducto.wire.services import to_services

            value = to_services(value)
        self._services: Optional[Services] = value

    @property
    def buckets(self) -> Optional[Buckets]:
        """Buckets that the commands at or below this node see, with those of the nodes above."""
        return self._buckets

    @buckets.setter
    def buckets(self, value: parameters.BucketsGiven) -> None:
        if value is not None:
            from conducto.wire.buckets import to_buckets

            value = to_buckets(value)
        self._buckets: Optional[Buckets] = value

    @property
    def tags(self) -> Optional[List[str]]:
        """Labels of the pipeline; set them on the root."""
        return self._tags

    @tags.setter
    def tags(self, value: parameters.Tags) -> None:
        self._tags = parameters.to_tags(value)

    @staticmethod
    def sanitize_tags(val: parameters.Tags) -> Optional[List[str]]:
        """Return tags as a list (`TypeError` if they are not texts)."""
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
        """Maximum number of Execs below this node that run at once, or None."""
        return self._max_concurrent

    @max_concurrent.setter
    def max_concurrent(self, value: Optional[int]) -> None:
        if value is not None and value == 0:
            raise ValueError("Cannot specify no concurrent nodes; max_concurrent is at least 1")
        self._max_concurrent = value

    def set(self, **params: Unpack[SetParams]) -> None:
        """Set several parameters at once; None leaves a parameter unchanged.

        Raises:
            TypeError: this node does not have such a parameter.
        """
        for name, value in parameters.to_set(type(self), {**params}).items():
            setattr(self, parameters.ATTRIBUTES.get(name, name), value)

    def get_inherited_attribute(self, attr: str) -> Any:
        """Return the value of the nearest node from this one upwards that has one, or the default.

        Args:
            attr: ``cpu mem gpu arch spot machine requires_docker docker_run_args image
                image_name max_time snapshot_on_error retry retry_lost isolate launch junit
                coverage``.
        """
        if attr in ("image", "image_name"):
            return getattr(self, attr)
        node: Optional[NodeBase] = self
        while node is not None:
            value = getattr(node, parameters.ATTRIBUTES.get(attr, attr))
            if value is not None:
                return value
            node = node.parent
        return parameters.INHERITED_DEFAULTS.get(attr)

    @property
    def user_set(self) -> Dict[str, Any]:
        """A copy of this node's own inheritable values, None for those that are not set."""
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
        node: Optional[NodeBase] = self
        while node is not None:
            if node._image is not None:
                return node._image
            if node._image_name is not None:
                return structure.find_image(self.root, node._image_name)
            node = node.parent
        return None

    @image.setter
    def image(self, value: Union[str, Image, None]) -> None:
        from conducto.tree.image import Image

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
        node: Optional[NodeBase] = self
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
        """Register ``image`` with the whole tree, for nodes that only give ``image_name``.

        Raises:
            DuplicateImageError: the tree has a different image of that name.
        """
        structure.register(self.root, image)

    @property
    def repo(self) -> Dict[str, Image]:
        """A copy of ``{name: image}``, the registered images of the tree."""
        images = self.root._images
        return {} if images is None else dict(images)

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
        """Return ``[[event, [name, {argument: value}]], ...]`` in the wire form."""
        return [
            [event, callback if isinstance(callback, list) else callback.to_literal()]
            for event, callback in self._callbacks or ()
        ]
