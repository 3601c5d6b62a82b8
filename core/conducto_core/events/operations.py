"""The operations on triggers by events, besides those on schedules; both targets have them."""

from conducto_core.api.operation import AnyOperation, LinkClass, Permission, act, read, send
from conducto_core.events import model as e
from conducto_core.schedules.model import Firing, ScheduleParams

MAKE_HOOK = act(
    "make_hook",
    "POST /schedules/{name}/hook",
    ScheduleParams,
    e.NewHook,
    Permission.LAUNCH,
    "Return the address of a trigger's webhook with a new secret; the old one is rejected.",
    link_class=LinkClass.NEVER,
    private=True,
    kept=False,
)
TRY_EVENT = send(
    "try_event",
    "POST /schedules/{name}/events",
    ScheduleParams,
    e.EventTrial,
    e.TriedEvent,
    Permission.LAUNCH,
    "Return the parameters that a payload gives, and launch it if requested.",
    link_class=LinkClass.AUTHOR,
    kept=False,
)
REPLAY_FIRING = act(
    "replay_firing",
    "POST /schedules/{name}/firings/{firing}/replay",
    e.FiringParams,
    Firing,
    Permission.LAUNCH,
    "Fire a trigger again with the payload of a firing.",
    link_class=LinkClass.AUTHOR,
)
GET_PAYLOAD = read(
    "get_payload",
    "/schedules/{name}/firings/{firing}/payload",
    e.FiringParams,
    e.PayloadView,
    "Return the event of a firing with its payload, in which redacted values are masked.",
    link_class=LinkClass.READ,
)

#: All operations of this module.
EVENT_OPERATIONS: tuple[AnyOperation, ...] = (MAKE_HOOK, TRY_EVENT, REPLAY_FIRING, GET_PAYLOAD)
