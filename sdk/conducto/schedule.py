"""Templates and schedules of pipelines: ``co.schedule``.

A template is a pipeline stored for later launches; a schedule launches one at given times. Both
belong to an *installation*, which is the first part of the names of its schedules: ``conducto
schedule list`` shows them as ``INSTALLATION.NAME``. The functions work on the target of the launch,
with the user of the profile, and raise ``InvalidResponse`` if it refuses them.
"""

from __future__ import annotations

from conducto import _host
from conducto.api import calls
from conducto.api.calls import not_yet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

rebuild = not_yet("Rebuilding a pipeline template", "Delete it, and create it again.")


def _at(installation_id: str, token: Optional[str], call: str, *args: Any, **more: Any) -> Any:
    """Return the result of a call of `conducto_cli.python_client.Schedules`."""
    if token is not None:
        raise ValueError("token: co.schedule uses that of the profile; log in with it")
    schedules: Any = _host.client_name("Schedules", "co.schedule")
    return calls.result_of(
        lambda: getattr(schedules(installation_id, **calls.target_arguments()), call)(*args, **more)
    )


def create_extension(name: str, token: Optional[str] = None) -> Dict[str, Any]:
    """Return an installation with its ``installation_id``, which is its name."""
    _at(name, token, "list_schedules")
    return {"installation_id": name, "name": name}


def delete_extension(installation_id: str, token: Optional[str] = None) -> Dict[str, Any]:
    """Delete all templates and schedules of an installation; their pipelines are kept."""
    _at(installation_id, token, "delete_all")
    return {"installation_id": installation_id}


def new(
    installation_id: str, node: Any, pipe_name: str, token: Optional[str] = None
) -> Dict[str, Any]:
    """Create a pipeline that does not run, for a template; return its ``pipeline_id``."""
    _at(installation_id, token, "list_schedules")
    made = calls.client("launch")(node, title=pipe_name, run=False, **calls.target_arguments())
    return {"pipeline_id": made.id}


def create_template(
    installation_id: str, pipeline_id: str, token: Optional[str] = None
) -> Dict[str, Any]:
    """Store a copy of a pipeline; return the template with its ``template_id``."""
    found: Dict[str, Any] = _at(installation_id, token, "create_template", pipeline_id)
    return found


def get_template(
    installation_id: str, template_id: str, token: Optional[str] = None
) -> Dict[str, Any]:
    """Return a template."""
    found: Dict[str, Any] = _at(installation_id, token, "get_template", template_id)
    return found


def list_templates(installation_id: str, token: Optional[str] = None) -> List[Dict[str, Any]]:
    """Return the templates of an installation, by id."""
    found: List[Dict[str, Any]] = _at(installation_id, token, "list_templates")
    return found


def delete_template(
    installation_id: str, template_id: str, token: Optional[str] = None
) -> Dict[str, Any]:
    """Delete a template; the pipelines that it launched are kept."""
    found: Dict[str, Any] = _at(installation_id, token, "delete_template", template_id)
    return found


def launch_template(
    installation_id: str, template_id: str, token: Optional[str] = None
) -> Dict[str, Any]:
    """Launch a template; return the firing with its ``pipeline_id``."""
    found: Dict[str, Any] = _at(installation_id, token, "launch_template", template_id)
    return found


def list_schedules(installation_id: str, token: Optional[str] = None) -> List[Dict[str, Any]]:
    """Return the schedules of an installation, by name."""
    found: List[Dict[str, Any]] = _at(installation_id, token, "list_schedules")
    return found


def schedule_run_list(
    installation_id: str, schedule_id: str, token: Optional[str] = None
) -> List[Dict[str, Any]]:
    """Return the newest firings of a schedule, with their ``pipeline_id``."""
    found: List[Dict[str, Any]] = _at(installation_id, token, "runs", schedule_id)
    return found


def delete_schedule(
    installation_id: str, schedule_id: str, token: Optional[str] = None
) -> Dict[str, Any]:
    """Delete a schedule and its history; its pipelines are kept."""
    found: Dict[str, Any] = _at(installation_id, token, "delete_schedule", schedule_id)
    return found


def create_schedule(
    installation_id: str, template_id: str, name: str, token: Optional[str] = None, **kwargs: Any
) -> Dict[str, Any]:
    """Create a schedule of a template; return it with its ``schedule_id``, which is its name.

    The schedule copies the template's pipeline, which must not be deleted before.

    Args:
        installation_id: The installation.
        template_id: The template.
        name: The name, unique in the installation.
        token: Not supported.
        kwargs: ``cron`` and ``zone``, other fields of the API's schedules, and
            ``simultaneous_limit``: 1, its only value, launches nothing while the last pipeline
            runs; ``overlap="allow"`` has no limit.
    """
    found: Dict[str, Any] = _at(
        installation_id, token, "create_schedule", template_id, name, **kwargs
    )
    return found


def update_schedule(  # noqa: PLR0917  the signature of the original
    installation_id: str,
    schedule_id: str,
    name: Optional[str] = None,
    simultaneous_limit: Optional[int] = None,
    default_retention: Optional[int] = None,
    token: Optional[str] = None,
) -> Dict[str, Any]:
    """Set the limit of a schedule to 1; return the schedule. Its name cannot be changed."""
    if name not in (None, schedule_id):
        raise ValueError(f"name: the schedule {schedule_id!r} cannot be renamed; create another")
    found: Dict[str, Any] = _at(
        installation_id,
        token,
        "update_schedule",
        schedule_id,
        simultaneous_limit=simultaneous_limit,
        default_retention=default_retention,
    )
    return found
