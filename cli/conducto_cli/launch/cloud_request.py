"""The request of a launch in the cloud, and the files of its images."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conducto.errors import DefinitionError, UsageError
from conducto_cli.launch import cloud_images, local_builds
from conducto_cli.launch.local import request_of
from conducto_cli.target.account import SignedInAccount, needed_account
from conducto_core.images.contexts import Context
from conducto_core.run.model.requests import LaunchRequest

if TYPE_CHECKING:
    from conducto.tree.launch import LaunchOptions
    from conducto.tree.node_base import NodeBase


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
                local_builds.build(client, self.request, self.contexts, print_message)
            else:
                cloud_images.upload(client, self.contexts, print_message)


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
        found = cloud_images.read(request.tree, print_message)
    except DefinitionError as error:
        raise UsageError(str(error)) from error
    complete = request.model_copy(update={"sources": found.sources})
    return CloudLaunch(account, complete, found.contexts, here=options.build == "local")


def print_message(line: str) -> None:
    print(f"conducto: {line}", file=sys.stderr)
