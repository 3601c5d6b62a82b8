"""Operations that only the original's API needs (`conducto.api`)."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from conducto.api.config import Config
from conducto.errors import InvalidArgumentError, UsageError
from conducto.tree.launch import LaunchOptions
from conducto.tree.nodes import Serial
from conducto.tree.parameters import to_tags
from conducto.tree.serialize import deserialize
from conducto_cli.launch import local as local_launch
from conducto_cli.python_client.hosts import open_target, selected
from conducto_cli.python_client.launching import request_for
from conducto_cli.target import account as cloud_account
from conducto_cli.target.account import SignedInAccount
from conducto_client.client import Client
from conducto_client.errors import ApiError
from conducto_client.pipeline import Pipeline
from conducto_client.target import TargetName
from conducto_core.api.cloud_operations import WhoAmI
from conducto_core.programs.model import ContinueRequest
from conducto_core.schedules import model as sc

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
    account = _account(token, profile)
    with account.client() as client:
        who = client.who_am_i()
    if keep:
        cloud_account.save_login(replace(account, org=who.org, user=who.user), profile)


def log_out(profile: str | None) -> None:
    cloud_account.forget(profile)


def _who(token: str | None, profile: str | None) -> WhoAmI:
    with _account(token, profile).client() as client:
        return client.who_am_i()


def _account(token: str | None, profile: str | None) -> SignedInAccount:
    if token is None:
        return cloud_account.needed_account(profile)
    config = Config.get_profile_config(cloud_account.profile_named(profile))
    url = os.environ.get("CONDUCTO_URL") or config.get("general", "url", fallback="")
    if not url:
        raise UsageError(
            "no installation is known: run 'conducto login --url URL', or set CONDUCTO_URL"
        )
    return SignedInAccount(url.rstrip("/"), token)


# ----------------------------------------------------------------------------------------
# Templates and schedules by the names of the original (`conducto.schedule`).
#
# The original's *installation* is a prefix of the names of schedules, and its *template* is a
# paused schedule without a time of its own, which keeps a copy of a pipeline.


#: A time that a template needs as a schedule; it is paused, so it does not fire.
_NEVER = "0 0 1 1 *"
_TEMPLATE = "template"


class Schedules:
    """The templates and schedules of an installation.

    Args:
        installation: Its id.
        target: ``local`` or ``cloud``; by default that of the profile, else ``local``.
        profile: The profile; by default the one in use.
    """

    def __init__(
        self, installation: str, target: TargetName | None = None, profile: str | None = None
    ) -> None:
        if not installation or "." in installation:
            raise InvalidArgumentError(
                f"installation {installation!r}: expected letters, digits, '-' and '_'"
            )
        self._prefix = f"{installation}."
        self._target = open_target(selected(target, profile) or "local", profile)

    def create_template(self, pipeline_id: str) -> dict[str, Any]:
        """Store a copy of a pipeline; return the template with its ``template_id``."""
        source = sc.TemplateSource(kind="template", pipeline=pipeline_id)
        name = self._name(f"{_TEMPLATE}.{pipeline_id}")
        request = sc.NewSchedule(name=name, cron=_NEVER, what=source, paused=True)
        return self._template(self._call(lambda client: client.create_schedule(request)))

    def get_template(self, template_id: str) -> dict[str, Any]:
        name = self._name(f"{_TEMPLATE}.{template_id}")
        return self._template(self._call(lambda client: client.schedule(name)))

    def list_templates(self) -> list[dict[str, Any]]:
        return [self._template(view) for view in self._views(templates=True)]

    def delete_template(self, template_id: str) -> dict[str, Any]:
        """Delete a template; the pipelines that it launched are kept."""
        name = self._name(f"{_TEMPLATE}.{template_id}")
        self._call(lambda client: client.delete_schedule(name))
        return {"template_id": template_id}

    def launch_template(self, template_id: str) -> dict[str, Any]:
        """Launch a template; return the firing with its ``pipeline_id``."""
        name = self._name(f"{_TEMPLATE}.{template_id}")
        firing = self._call(lambda client: client.fire_schedule(name))
        return {**firing.model_dump(mode="json"), "pipeline_id": firing.pipeline}

    def create_schedule(self, template_id: str, name: str, **settings: Any) -> dict[str, Any]:
        """Create a schedule of a template; return it with its ``schedule_id``.

        Args:
            template_id: The template.
            name: The name, unique in the installation, which is also the id.
            settings: Fields of `conducto_core.schedules.model.ScheduleSettings`, such as ``cron``
                and ``zone``, and ``simultaneous_limit``, which can only be 1.

        Raises:
            InvalidArgumentError: The pipeline of the template, which the schedule copies, is
                deleted; or a setting has no counterpart.
        """
        source = sc.TemplateSource(kind="template", pipeline=template_id)
        fields = {**_overlap(settings), "name": self._name(name), "what": source}
        request = sc.NewSchedule.model_validate(fields)
        try:
            made = self._call(lambda client: client.create_schedule(request))
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise InvalidArgumentError(
                f"template {template_id!r}: a schedule copies its pipeline, which does not exist "
                "(any more); create a template of another pipeline"
            ) from error
        return self._schedule(made)

    def update_schedule(self, schedule_id: str, **settings: Any) -> dict[str, Any]:
        """Change the settings of a schedule that are given; return it."""
        name = self._name(schedule_id)
        known = self._call(lambda client: client.schedule(name)).schedule
        before = {field: getattr(known, field) for field in sc.ScheduleSettings.model_fields}
        request = sc.ScheduleSettings.model_validate({**before, **_overlap(settings)})
        return self._schedule(self._call(lambda client: client.change_schedule(name, request)))

    def delete_schedule(self, schedule_id: str) -> dict[str, Any]:
        """Delete a schedule; its pipelines are kept."""
        name = self._name(schedule_id)
        self._call(lambda client: client.delete_schedule(name))
        return {"schedule_id": schedule_id}

    def list_schedules(self) -> list[dict[str, Any]]:
        return [self._schedule(view) for view in self._views(templates=False)]

    def runs(self, schedule_id: str) -> list[dict[str, Any]]:
        """Return the newest firings of a schedule."""
        name = self._name(schedule_id)
        found = self._call(lambda client: client.firings(name)).firings
        return [{**one.model_dump(mode="json"), "pipeline_id": one.pipeline} for one in found]

    def delete_all(self) -> None:
        for templates in (True, False):
            for view in self._views(templates=templates):
                self._delete(view.schedule.name)

    def _delete(self, name: str) -> None:
        self._call(lambda client: client.delete_schedule(name))

    def _call(self, call: Callable[[Client], Any]) -> Any:
        return self._target.call(call)

    def _name(self, name: str) -> str:
        return self._prefix + name

    def _views(self, *, templates: bool) -> list[sc.ScheduleView]:
        known = self._call(lambda client: client.schedules()).schedules
        mine = [view for view in known if view.schedule.name.startswith(self._prefix)]
        start = self._name(f"{_TEMPLATE}.")
        return [view for view in mine if view.schedule.name.startswith(start) is templates]

    def _template(self, view: sc.ScheduleView) -> dict[str, Any]:
        template_id = view.schedule.name.removeprefix(self._name(f"{_TEMPLATE}."))
        return {"template_id": template_id, "created": view.schedule.created}

    def _schedule(self, view: sc.ScheduleView) -> dict[str, Any]:
        name = view.schedule.name.removeprefix(self._prefix)
        return {**view.model_dump(mode="json")["schedule"], "schedule_id": name, "name": name}


def _overlap(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of a schedule, with the rule for overlap that a limit stands for.

    Raises:
        InvalidArgumentError: a setting has no counterpart.
    """
    fields = {name: value for name, value in settings.items() if value is not None}
    if fields.pop("default_retention", None) is not None:
        raise InvalidArgumentError("default_retention: set the retention of the pipeline instead")
    limit = fields.pop("simultaneous_limit", None)
    if limit is None:
        return fields
    if limit != 1:
        raise InvalidArgumentError(
            f"simultaneous_limit={limit!r}: only 1 is supported; for no limit, create the schedule "
            'with overlap="allow"'
        )
    return {**fields, "overlap": sc.Overlap.SKIP}
