"""Templates and schedules of pipelines on a server: ``co.schedule``.

A template is a pipeline stored for later launches; a schedule launches one at given times; both
belong to an extension's installation. They need the original's server: each call raises an error
that names ``conducto schedule``, which has the schedules of this one.
"""

from __future__ import annotations

from conducto.api.remote import not_yet

_CRON = "Use `conducto schedule add`, on this machine or with --cloud (docs/schedules.md)."

create_extension = not_yet("Creating a scheduling extension", _CRON)
delete_extension = not_yet("Deleting a scheduling extension", _CRON)
new = not_yet("Creating a scheduled pipeline", _CRON)
rebuild = not_yet("Rebuilding a pipeline template", _CRON)
create_template = not_yet("Creating a pipeline template", _CRON)
get_template = not_yet("Reading a pipeline template", _CRON)
list_templates = not_yet("Listing pipeline templates", _CRON)
delete_template = not_yet("Deleting a pipeline template", _CRON)
launch_template = not_yet("Launching a pipeline template", _CRON)
create_schedule = not_yet("Creating a schedule", _CRON)
update_schedule = not_yet("Changing a schedule", _CRON)
delete_schedule = not_yet("Deleting a schedule", _CRON)
list_schedules = not_yet("Listing schedules", _CRON)
schedule_run_list = not_yet("Listing a schedule's runs", _CRON)
