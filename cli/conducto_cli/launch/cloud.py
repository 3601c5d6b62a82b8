"""A launch in the cloud, from the tree to the exit code."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conducto.errors import DefinitionError, UsageError
from conducto_cli.app.exit import FAILED
from conducto_cli.launch import cloud_images, local_builds
from conducto_cli.launch.into import continue_pipeline
from conducto_cli.launch.local import request_of, submit
from conducto_cli.launch.plan_command import launch_price
from conducto_cli.target.account import SignedInAccount, needed_account
from conducto_cli.target.connection import guarded
from conducto_core.images.contexts import Context
from conducto_core.programs.rules.programs import made_by
from conducto_core.run.model.requests import LaunchRequest

if TYPE_CHECKING:
    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase

from collections.abc import Iterator

from conducto_cli.target import lookup as selection
from conducto_client import Client
from conducto_client.transport.cloud import CloudClient
from conducto_core.run.model.requests import ControlRequest, NodeView


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
                say(price)
            ready.bring_images()
        except local_builds.ImageBuildError as error:
            say(str(error))
            return FAILED
        return submit(ready.account.client, ready.request, on_terminal)

    return guarded(launch_and_stay)


@dataclass(frozen=True, slots=True)
class CloudLaunch:
    """A launch in the cloud, before the files of its images are uploaded.

    Attributes:
        request: The request, with what its images are made of.
        contexts: ``{content hash: directory}`` of the images.
        here: Build images on this machine and push them, instead of uploading directories.
    """

    account: SignedInAccount
    request: LaunchRequest
    contexts: Mapping[str, Context]
    here: bool

    def bring_images(self) -> None:
        """Bring the missing directories, or the missing images, to the cloud.

        Raises:
            conducto_cli.launch.local_builds.ImageBuildError: an image was not built here.
            conducto_client.ClientError: the cloud refuses, or does not answer.
        """
        with self.account.client() as client:
            if self.here:
                local_builds.build(client, self.request, self.contexts, say)
            else:
                cloud_images.upload(client, self.contexts, say)


def prepared(root: "NodeBase", options: "LaunchOptions") -> CloudLaunch:
    """Return the launch of a tree.

    Raises:
        UsageError: the tree or an option is wrong.
        conducto_client.ClientError: the profile is not logged in.
    """
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415 - heavy, host side only

    if options.engine == "process":
        raise UsageError("--engine process runs on this machine only; leave it out, or use --local")
    account = needed_account(options.profile)
    form = to_launch_form(root, title=options.title, doc=options.doc, tags=options.tags)
    # Omit fields that do not apply: the engine is the cloud's own.
    request = request_of(form, options).model_copy(update={"engine": "docker", "owner": ""})
    try:
        found = cloud_images.read(request.tree, say)
    except DefinitionError as error:
        raise UsageError(str(error)) from error
    complete = request.model_copy(update={"sources": found.sources})
    return CloudLaunch(account, complete, found.contexts, here=options.build == "local")


def say(line: str) -> None:
    print(f"conducto: {line}", file=sys.stderr)


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
    found = cloud_images.read(client.definition(pipeline_id).tree, say, names)
    cloud_images.upload(client, found.contexts, say)
    return request.model_copy(update={"sources": found.sources})


def _meant(client: Client, pipeline_id: str, request: ControlRequest) -> Iterator[NodeView]:
    if request.failed:
        for view in selection.failed(client, pipeline_id):
            yield from client.tree(pipeline_id, root=view.path, attempts="none")
    for path in request.paths:
        yield from client.tree(pipeline_id, root=path)
