"""``conducto rebuild`` in the cloud: the files of images are read anew on this machine."""

from collections.abc import Iterator

from conducto.cli.host import cloud_images, selection
from conducto.cli.host.cloud_launch import say
from conducto.client import Client
from conducto.client.cloud import CloudClient
from conducto.model.api import ControlRequest, NodeView


def with_sources(client: Client, pipeline_id: str, request: ControlRequest) -> ControlRequest:
    """Return an order to rebuild with what the images of its nodes are made of now.

    A local agent reads that itself: its orders stay as they are.

    Raises:
        UsageError: files cannot be read.
        conducto.client.ClientError: the cloud refuses, or does not answer.
    """
    if request.preview or not isinstance(client, CloudClient):
        return request
    names = {node.image for node in _meant(client, pipeline_id, request) if node.image is not None}
    found = cloud_images.read(client.definition(pipeline_id).tree, say, names)
    cloud_images.upload(client, found.contexts, say)
    return request.model_copy(update={"sources": found.sources})


def _meant(client: Client, pipeline_id: str, request: ControlRequest) -> Iterator[NodeView]:
    """Yield the nodes that an order is about, and what is below them."""
    if request.failed:
        for view in selection.failed(client, pipeline_id):
            yield from client.tree(pipeline_id, root=view.path, attempts="none")
    for path in request.paths:
        yield from client.tree(pipeline_id, root=path)
