"""A launch in the cloud, from the tree to the exit code."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from conducto_cli.app.exit import FAILED
from conducto_cli.launch import cloud_images, local_builds
from conducto_cli.launch.cloud_request import prepared, print_message
from conducto_cli.launch.into import continue_pipeline
from conducto_cli.launch.local import submit
from conducto_cli.launch.plan_command import launch_price
from conducto_cli.target import lookup as selection
from conducto_cli.target.connection import guarded
from conducto_client import Client
from conducto_client.transport.cloud import CloudClient
from conducto_core.programs.rules.programs import made_by
from conducto_core.run.model.requests import ControlRequest, NodeView

if TYPE_CHECKING:
    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase


def launch(root: "NodeBase", options: "LaunchOptions") -> int:
    """Launch a tree; see `conducto._host.launch`."""

    def launch_and_stay() -> int:
        try:
            ready = prepared(root, options)
            # A page in the browser is the local agent's.
            on_terminal = replace(options, app=False)
            if options.into is not None:
                opener = ready.account.client
                bring = ready.bring_images
                return continue_pipeline(opener, ready.request, on_terminal, bring_images=bring)
            call = options.call
            made = None if call is None else made_by(call)
            price = launch_price(root, ready.request.program, made)
            if price is not None:
                print_message(price)
            ready.bring_images()
        except local_builds.ImageBuildError as error:
            print_message(str(error))
            return FAILED
        return submit(ready.account.client, ready.request, on_terminal)

    return guarded(launch_and_stay)


def with_sources(client: Client, pipeline_id: str, request: ControlRequest) -> ControlRequest:
    """Return a rebuild request with the current sources of the nodes' images.

    A local agent reads the sources itself: its requests are not changed.

    Raises:
        UsageError: files cannot be read.
        conducto_client.ClientError: the cloud refuses, or does not answer.
    """
    if request.preview or not isinstance(client, CloudClient):
        return request
    names = {node.image for node in _meant(client, pipeline_id, request) if node.image is not None}
    found = cloud_images.read(client.definition(pipeline_id).tree, print_message, names)
    cloud_images.upload(client, found.contexts, print_message)
    return request.model_copy(update={"sources": found.sources})


def _meant(client: Client, pipeline_id: str, request: ControlRequest) -> Iterator[NodeView]:
    if request.failed:
        for view in selection.failed(client, pipeline_id):
            yield from client.tree(pipeline_id, root=view.path, attempts="none")
    for path in request.paths:
        yield from client.tree(pipeline_id, root=path)
