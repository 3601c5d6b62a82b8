"""Operations that only the original's API needs (`conducto.api`)."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conducto.api.config import Config
from conducto.errors import InvalidArgumentError, UsageError
from conducto.tree.launch_options import LaunchOptions
from conducto.tree.nodes import Serial
from conducto.tree.parameters import to_tags
from conducto.tree.serialize import deserialize
from conducto_cli import cloud_account
from conducto_cli.cloud_account import Account
from conducto_cli.launch import local as local_launch
from conducto_cli.python_client.hosts import open_target
from conducto_cli.python_client.launching import request_for
from conducto_client.pipeline import Pipeline
from conducto_core.model.continuation import ContinueRequest
from conducto_core.model.operations.cloud import WhoAmI

#: The permissions of the original that each permission of a token includes.
_PERMISSIONS = {
    "read": ("read",),
    "launch": ("launch",),
    "change_state": ("change_state", "modify", "modify_cmd"),
    "secrets": ("read_user_secrets", "read_org_secrets"),
}


def create_pipeline(
    profile: str | None, *, title: str, tags: str | Sequence[str] = (), retention: int = 7
) -> str:
    """Launch a pipeline without nodes on this machine; return its id."""
    options = LaunchOptions(title=title, tags=to_tags(tags) or [], retention=int(retention))
    request = local_launch.prepared(Serial(), options)
    target = open_target("local", profile, launching=True)
    return target.call(lambda client: client.launch(request)).pipeline.id


def save_serialization(pipeline: Pipeline, text: str, profile: str | None) -> None:
    """Replace the tree of a pipeline, and keep nothing.

    Raises:
        InvalidArgumentError: the text is not a serialized tree.
    """
    try:
        root = deserialize(text)
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from error
    record = pipeline.summary.pipeline
    options = LaunchOptions(
        title=root.title or record.title,
        doc=root.doc or record.doc,
        tags=list(record.tags),
        retention=record.retention,
        sleep_when_done=record.sleep_when_done,
        profile=profile,
    )
    request, bring_images = request_for(root, options, pipeline.target)
    bring_images()
    launch = request.model_copy(update={"program": record.program})
    asked = ContinueRequest(launch=launch, fresh=True)
    target = open_target(pipeline.target, profile)
    target.call(lambda client: client.continue_pipeline(pipeline.id, asked))


def permissions(pipeline: Pipeline, token: str | None, profile: str | None) -> list[str]:
    """Return the permissions for a pipeline, by the names of the original."""
    if pipeline.target == "local":
        return [name for names in _PERMISSIONS.values() for name in names]
    granted = _who(token, profile).permissions
    return [name for each in granted for name in _PERMISSIONS.get(each, ())]


def identity(token: str | None, profile: str | None) -> dict[str, Any]:
    """Return the owner of a token, or of the profile's, as the installation knows it."""
    return _who(token, profile).model_dump()


def organisation(org_id: str | None, token: str | None, profile: str | None) -> dict[str, Any]:
    """Return the organisation of a token.

    Raises:
        UsageError: it is not the given one.
    """
    org = _who(token, profile).org
    if org_id not in (None, org):
        raise UsageError(f"organisation {org_id!r}: the token belongs to {org!r}")
    return {"org_id": org, "name": org}


def log_in(token: str, profile: str | None, *, keep: bool) -> None:
    """Check a token at the installation of a profile, and keep it there on request."""
    account = _account(token, profile)
    with account.client() as client:
        who = client.who_am_i()
    if keep:
        cloud_account.keep(replace(account, org=who.org, user=who.user), profile)


def log_out(profile: str | None) -> None:
    """Forget the token of a profile."""
    cloud_account.forget(profile)


def _who(token: str | None, profile: str | None) -> WhoAmI:
    with _account(token, profile).client() as client:
        return client.who_am_i()


def _account(token: str | None, profile: str | None) -> Account:
    if token is None:
        return cloud_account.needed_account(profile)
    config = Config.get_profile_config(cloud_account.profile_named(profile))
    url = os.environ.get("CONDUCTO_URL") or config.get("general", "url", fallback="")
    if not url:
        raise UsageError(
            "no installation is known: run 'conducto login --url URL', or set CONDUCTO_URL"
        )
    return Account(url.rstrip("/"), token)
