"""``conducto rebuild`` in the cloud: the files of images are read anew on this machine."""

from conducto.cli.host import cloud_images
from conducto.cli.host.cloud_launch import say
from conducto.client import Client
from conducto.client.cloud import CloudClient
from conducto.model.api import ControlRequest


def with_sources(client: Client, pipeline_id: str, request: ControlRequest) -> ControlRequest:
    """Return an order to rebuild with what the images of its nodes are made of now.

    A local agent reads that itself: its orders stay as they are.

    Raises:
        UsageError: files cannot be read.
        conducto.client.ClientError: the cloud refuses, or does not answer.
    """
    if request.preview or not isinstance(client, CloudClient):
        return request
    nodes = (node for path in request.paths for node in client.tree(pipeline_id, root=path))
    names = {node.image for node in nodes if node.image is not None}
    found = cloud_images.read(client.definition(pipeline_id).tree, say, names)
    cloud_images.upload(client, found.contexts, say)
    return request.model_copy(update={"sources": found.sources})
