"""A launch in the cloud, from the tree to the exit code."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from conducto.cli.host import cloud_images, own_builds
from conducto.cli.host.addresses import UsageError
from conducto.cli.host.cloud_account import Account, needed_account
from conducto.cli.host.connection import guarded
from conducto.cli.host.exit_codes import FAILED
from conducto.cli.host.local_launch import request_of, submit
from conducto.model.api import LaunchRequest
from conducto.semantics.errors import DefinitionError

if TYPE_CHECKING:
    from conducto.tree.launch_options import LaunchOptions
    from conducto.tree.node import Node


def launch(root: "Node", options: "LaunchOptions") -> int:
    """Launch a tree; see `conducto.cli.launch.launch_cloud`."""
    return guarded(lambda: _launch(root, options))


def _launch(root: "Node", options: "LaunchOptions") -> int:
    from conducto.tree.launch_form import to_launch_form  # noqa: PLC0415 - heavy, host side only

    if options.engine == "process":
        raise UsageError("--engine process runs on this machine only; leave it out, or use --local")
    account = needed_account(options.profile)
    form = to_launch_form(root, title=options.title, doc=options.doc, tags=options.tags)
    # What is not asked for stays out: the engine is the cloud's own.
    request = request_of(form, options).model_copy(update={"engine": "docker", "owner": ""})
    try:
        request = with_images(account, request, here=options.build == "local")
    except own_builds.ImageBuildError as error:
        say(str(error))
        return FAILED
    # A page in the browser is the local agent's.
    shown = replace(options, app=False)
    return submit(account.client, request, shown)


def with_images(account: Account, request: LaunchRequest, *, here: bool) -> LaunchRequest:
    """Return a request with what its images are made of, which is in the cloud then.

    Args:
        account: Where.
        request: A launch.
        here: Build images on this machine and push them, instead of bringing directories there.

    Raises:
        conducto.cli.host.own_builds.ImageBuildError: an image was not built here.
        UsageError: the tree or an image of it is wrong.
        conducto.client.ClientError: the cloud refuses, or does not answer.
    """
    try:
        found = cloud_images.read(request.tree, say)
    except DefinitionError as error:
        raise UsageError(str(error)) from error
    told = request.model_copy(update={"sources": found.sources})
    with account.client() as client:
        if here:
            own_builds.build(client, told, found.contexts, say)
        else:
            cloud_images.upload(client, found.contexts, say)
    return told


def say(line: str) -> None:
    """Tell a person something besides the output."""
    print(f"conducto: {line}", file=sys.stderr)
