"""Templates and schedules by the names of the original (`conducto.schedule`).

The original's *installation* is a prefix of the names of schedules, and its *template* is a paused
schedule without a time of its own, which keeps a copy of a pipeline.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from conducto.errors import InvalidArgumentError
from conducto_cli.python_client.hosts import open_target, selected
from conducto_client.client import Client
from conducto_client.errors import ApiError
from conducto_client.target import TargetName
from conducto_core.model import schedules as sc

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
        """Return a template."""
        name = self._name(f"{_TEMPLATE}.{template_id}")
        return self._template(self._call(lambda client: client.schedule(name)))

    def list_templates(self) -> list[dict[str, Any]]:
        """Return the templates, by id."""
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
            settings: Fields of `conducto_core.model.schedules.ScheduleSettings`, such as ``cron``
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
        """Return the schedules, by name."""
        return [self._schedule(view) for view in self._views(templates=False)]

    def runs(self, schedule_id: str) -> list[dict[str, Any]]:
        """Return the newest firings of a schedule."""
        name = self._name(schedule_id)
        found = self._call(lambda client: client.firings(name)).firings
        return [{**one.model_dump(mode="json"), "pipeline_id": one.pipeline} for one in found]

    def delete_all(self) -> None:
        """Delete all templates and schedules."""
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
