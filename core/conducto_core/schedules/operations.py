"""The operations on schedules, which both targets have."""

from conducto_core.api.operation import (
    AnyOperation,
    LinkClass,
    Operation,
    Permission,
    act,
    read,
    send,
)
from conducto_core.run.model.params import NoParams
from conducto_core.schedules import model as s

LIST_SCHEDULES = read(
    "list_schedules",
    "/schedules",
    NoParams,
    s.ScheduleList,
    "List all schedules, by name.",
    link_class=LinkClass.READ,
)
CREATE_SCHEDULE = send(
    "create_schedule",
    "POST /schedules",
    NoParams,
    s.NewSchedule,
    s.ScheduleView,
    Permission.LAUNCH,
    "Create a schedule, owned by the caller.",
    link_class=LinkClass.AUTHOR,
)
GET_SCHEDULE = read(
    "get_schedule",
    "/schedules/{name}",
    s.ScheduleParams,
    s.ScheduleView,
    "Return one schedule.",
    link_class=LinkClass.READ,
)
CHANGE_SCHEDULE = send(
    "change_schedule",
    "PUT /schedules/{name}",
    s.ScheduleParams,
    s.ScheduleSettings,
    s.ScheduleView,
    Permission.LAUNCH,
    "Replace the settings of a schedule; the caller becomes its owner.",
    link_class=LinkClass.AUTHOR,
)
DELETE_SCHEDULE = act(
    "delete_schedule",
    "DELETE /schedules/{name}",
    s.ScheduleParams,
    s.ScheduleDeleted,
    Permission.LAUNCH,
    "Delete a schedule and its history; its pipelines are kept.",
    link_class=LinkClass.AUTHOR,
)
PAUSE_SCHEDULE = act(
    "pause_schedule",
    "POST /schedules/{name}/pause",
    s.ScheduleParams,
    s.ScheduleView,
    Permission.LAUNCH,
    "Pause a schedule: it does not fire until it is resumed.",
    link_class=LinkClass.AUTHOR,
)
RESUME_SCHEDULE = act(
    "resume_schedule",
    "POST /schedules/{name}/resume",
    s.ScheduleParams,
    s.ScheduleView,
    Permission.LAUNCH,
    "Resume a schedule; times that passed in the meantime are not caught up.",
    link_class=LinkClass.AUTHOR,
)
FIRE_SCHEDULE = act(
    "fire_schedule",
    "POST /schedules/{name}/fire",
    s.ScheduleParams,
    s.Firing,
    Permission.LAUNCH,
    "Fire a schedule now, even if it is paused or its last pipeline runs.",
    resumable=True,
    link_class=LinkClass.AUTHOR,
)
BACKFILL_SCHEDULE = send(
    "backfill_schedule",
    "POST /schedules/{name}/backfill",
    s.ScheduleParams,
    s.Backfill,
    s.FiringList,
    Permission.LAUNCH,
    "Fire a schedule for each of its times in a range of the past.",
    link_class=LinkClass.AUTHOR,
)
LIST_FIRINGS = read(
    "list_firings",
    "/schedules/{name}/firings",
    s.FiringsParams,
    s.FiringList,
    "Return a page of the firings of a schedule, the newest first.",
    link_class=LinkClass.READ,
)
SCHEDULE_TIMES = read(
    "schedule_times",
    "/schedule-times",
    s.TimesParams,
    s.TimesView,
    "Return the next times of a cron expression, without creating a schedule.",
    link_class=LinkClass.READ,
)

#: All operations of this module.
SCHEDULE_OPERATIONS: tuple[AnyOperation, ...] = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Operation)
)
