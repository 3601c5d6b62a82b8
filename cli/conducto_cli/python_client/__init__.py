"""The Python client on the targets of the command line: ``co.launch`` and its relatives."""

from conducto_cli.python_client import aio, original
from conducto_cli.python_client.hosts import Connection, connect
from conducto_cli.python_client.launching import launch, plan
from conducto_cli.python_client.original import Schedules
from conducto_cli.python_client.queries import (
    compare,
    get_pipeline,
    latest,
    list_pipelines,
    metrics,
)
from conducto_client.aio import AsyncNodeHandle, AsyncPipeline
from conducto_client.nodes import NodeHandle
from conducto_client.pipeline import Pipeline

__all__ = [
    "AsyncNodeHandle",
    "AsyncPipeline",
    "Connection",
    "NodeHandle",
    "Pipeline",
    "Schedules",
    "aio",
    "compare",
    "connect",
    "get_pipeline",
    "latest",
    "launch",
    "list_pipelines",
    "metrics",
    "original",
    "plan",
]
