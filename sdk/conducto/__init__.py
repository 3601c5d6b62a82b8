"""Conducto: pipelines as trees of shell commands and Python functions in containers.

>>> import conducto as co
>>> with co.Serial() as root:
...     build = co.Exec("make", name="build")
>>> str(build)
'/build'

Every name is imported on first use: a native function in a warm container pays for each import
every time.
"""

# ruff: noqa: PLC0415
# imports wait until they are needed.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conducto import (
        api,
        callback,
        data,
        git,
        glue,
        image,
        integrations,
        internal,
        nb,
        pipeline,
        profile,
        schedule,
        shared,
        slack,
        util,
    )
    from conducto._host import python_client as _client
    from conducto.data import pipeline as temp_data
    from conducto.data import user as perm_data
    from conducto.data.location import checkpoint_dir
    from conducto.errors import (
        ConductoError,
        DefinitionError,
        DuplicateImageError,
        InvalidCloudParams,
        NodeMethodError,
        PipelineFailed,
        TreeError,
    )
    from conducto.main import main
    from conducto.maps import map as map  # noqa: A004 (`co.map`)
    from conducto.results import annotate, artifact, metric, payload, result
    from conducto.shards import shard
    from conducto.tree.approve import Approve
    from conducto.tree.image import Image, relpath
    from conducto.tree.lazy import Lazy, lazy_py, lazy_shell
    from conducto.tree.nodes import Exec, Node, Notebook, Parallel, Serial
    from conducto.tree.parameters import ContainerReuseContext, Params, SameContainer
    from conducto.util import env_bool
    from conducto.version import __sha1__ as __sha1__
    from conducto.version import __version__ as __version__
    from conducto.wire.buckets import Bucket as Bucket
    from conducto.wire.caching import Cache as Cache
    from conducto.wire.named_limits import Limit as Limit
    from conducto.wire.partitions import Partition as Partition
    from conducto.wire.partitions import daily as daily
    from conducto.wire.partitions import grid as grid
    from conducto.wire.partitions import hourly as hourly
    from conducto.wire.partitions import monthly as monthly
    from conducto.wire.partitions import static as static
    from conducto.wire.paths import Path
    from conducto.wire.retries import retry as retry
    from conducto.wire.services import Service as Service

    AsyncNodeHandle = _client.AsyncNodeHandle
    AsyncPipeline = _client.AsyncPipeline
    Connection = _client.Connection
    NodeHandle = _client.NodeHandle
    Pipeline = _client.Pipeline
    aio = _client.aio
    compare = _client.compare
    connect = _client.connect
    get_pipeline = _client.get_pipeline
    latest = _client.latest
    launch = _client.launch
    list_pipelines = _client.list_pipelines
    metrics = _client.metrics
    plan = _client.plan

# {public name: module that defines it, with the name there if it differs}
_HOMES = {
    "Approve": "tree.approve",
    "Bucket": "wire.buckets",
    "Cache": "wire.caching",
    "__sha1__": "version",
    "__version__": "version",
    "ConductoError": "errors",
    "ContainerReuseContext": "tree.parameters",
    "DefinitionError": "errors",
    "DuplicateImageError": "errors",
    "Exec": "tree.nodes",
    "Image": "tree.image",
    "InvalidCloudParams": "errors",
    "Lazy": "tree.lazy",
    "Limit": "wire.named_limits",
    "Node": "tree.nodes",
    "NodeMethodError": "errors",
    "Notebook": "tree.nodes",
    "Parallel": "tree.nodes",
    "Params": "tree.parameters",
    "Partition": "wire.partitions",
    "PipelineFailed": "errors",
    "Path": "wire.paths",
    "SameContainer": "tree.parameters",
    "Service": "wire.services",
    "Serial": "tree.nodes",
    "TreeError": "errors",
    "annotate": "results",
    "artifact": "results",
    "checkpoint_dir": "data.location",
    "daily": "wire.partitions",
    "env_bool": "util",
    "grid": "wire.partitions",
    "hourly": "wire.partitions",
    "lazy_py": "tree.lazy",
    "lazy_shell": "tree.lazy",
    "main": "main",
    "map": "maps",
    "metric": "results",
    "monthly": "wire.partitions",
    "payload": "results",
    "perm_data": "data:user",
    "relpath": "tree.image",
    "result": "results",
    "retry": "wire.retries",
    "shard": "shards",
    "static": "wire.partitions",
    "temp_data": "data:pipeline",
}
_MODULES = frozenset(
    [
        "api",
        "callback",
        "data",
        "git",
        "glue",
        "image",
        "integrations",
        "internal",
        "nb",
        "pipeline",
        "profile",
        "schedule",
        "shared",
        "slack",
        "util",
    ]
)
#: Names of the Python client, which needs the host's packages.
_CLIENT = frozenset(
    [
        "AsyncNodeHandle",
        "AsyncPipeline",
        "Connection",
        "NodeHandle",
        "Pipeline",
        "aio",
        "compare",
        "connect",
        "get_pipeline",
        "latest",
        "launch",
        "list_pipelines",
        "metrics",
        "plan",
    ]
)

#: Without `map`: a star import would hide the built-in function.
__all__ = [
    "Approve",
    "AsyncNodeHandle",
    "AsyncPipeline",
    "ConductoError",
    "Connection",
    "ContainerReuseContext",
    "DefinitionError",
    "DuplicateImageError",
    "Exec",
    "Image",
    "InvalidCloudParams",
    "Lazy",
    "Limit",
    "Node",
    "NodeHandle",
    "NodeMethodError",
    "Notebook",
    "Parallel",
    "Params",
    "Partition",
    "Path",
    "Pipeline",
    "PipelineFailed",
    "SameContainer",
    "Serial",
    "TreeError",
    "aio",
    "annotate",
    "api",
    "artifact",
    "callback",
    "checkpoint_dir",
    "compare",
    "connect",
    "data",
    "env_bool",
    "get_pipeline",
    "git",
    "glue",
    "image",
    "integrations",
    "internal",
    "latest",
    "launch",
    "lazy_py",
    "lazy_shell",
    "list_pipelines",
    "main",
    "metric",
    "metrics",
    "nb",
    "payload",
    "perm_data",
    "pipeline",
    "plan",
    "profile",
    "relpath",
    "result",
    "schedule",
    "shard",
    "shared",
    "slack",
    "temp_data",
    "util",
]


class _UnknownNameError(AttributeError):
    """The error of a name that the package lacks.

    Its text is made when it is shown: ``from conducto import module`` raises it, too, and the
    suggestion imports modules that commands in containers should not pay for.
    """

    def __str__(self) -> str:
        from conducto.wire.printable import suggestion

        name = self.args[0]
        hint = suggestion(name, [*globals(), *_CLIENT, *_HOMES, *_MODULES])
        return f"module 'conducto' has no attribute {name!r}{hint}"


def __getattr__(name: str) -> object:
    if name in _CLIENT:
        value = _client_name(name)
        globals()[name] = value
        return value
    home = _HOMES.get(name)
    if home is None and name not in _MODULES:
        raise _UnknownNameError(name)
    from importlib import import_module

    if home is None:
        return import_module("conducto." + name)
    module, _, inner = home.partition(":")
    value = getattr(import_module("conducto." + module), inner or name)
    globals()[name] = value
    return value


def _client_name(name: str) -> object:
    from conducto.platforms import is_inside_node

    if name in ("launch", "get_pipeline") and is_inside_node():
        import os

        from conducto.wire.launching import TOKEN

        if name == "launch" or os.environ.get(TOKEN):
            from conducto import children

            return getattr(children, name)
    from conducto._host import client_name

    return client_name(name)


def __dir__() -> list:  # type: ignore[type-arg]
    return sorted({*globals(), *__all__, "map"})
