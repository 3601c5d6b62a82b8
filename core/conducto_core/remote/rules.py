"""What a linked machine lets its cloud do. Pure; checked on the machine, for each request.

A cloud, or somebody who controls it, cannot change the policy: it is in the machine's own
configuration. The cloud names the person who sent a request, and the machine has to believe it; so
``who`` limits people as long as the cloud is honest, and ``allow`` limits a dishonest cloud, too.
"""

from dataclasses import dataclass

from conducto_core.api.operation import AnyOperation, LinkClass
from conducto_core.data.operations import DELETE_DATA, PUT_DATA
from conducto_core.programs.operations import START_PROGRAM
from conducto_core.remote.model import Caller, LinkPolicy
from conducto_core.run.model.requests import Action, ControlRequest
from conducto_core.run.operations import CONTINUE, CONTROL
from conducto_core.schedules.model import ScheduleSettings, ScriptSource
from conducto_core.schedules.operations import CHANGE_SCHEDULE, CREATE_SCHEDULE

#: The classes that a policy can allow; each needs `LinkClass.READ` as well.
ALLOWABLE = (LinkClass.READ, LinkClass.CONTROL, LinkClass.AUTHOR, LinkClass.DEBUG)
#: The classes that people other than the owner can get.
SHARED = frozenset({LinkClass.READ, LinkClass.CONTROL})
#: Actions that repeat, stop or skip work that is defined already. Any other one is `AUTHOR`.
_CONTROL = frozenset(
    {
        Action.RUN,
        Action.PAUSE,
        Action.CANCEL,
        Action.RESET,
        Action.RERUN,
        Action.SKIP,
        Action.UNSKIP,
        Action.KILL,
        Action.SLEEP,
    }
)
#: Operations and actions that change what the commands of a pipeline do.
_REDEFINING = frozenset({CONTINUE.name, PUT_DATA.name, DELETE_DATA.name})
_REDEFINING_ACTIONS = frozenset({Action.MODIFY, Action.REBUILD})
#: Operations whose body is a schedule.
SCHEDULING = frozenset({CREATE_SCHEDULE.name, CHANGE_SCHEDULE.name})
#: Operations that are checked with their body, so it must be in the request itself.
CHECKED_BODIES = SCHEDULING | {CONTROL.name}


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A request of the cloud.

    Attributes:
        control: The body of an action.
        defined_remotely: The pipeline was launched or changed through the link, or by a schedule
            that was.
        schedule: The schedule to create or change.
    """

    operation: AnyOperation
    caller: Caller
    control: ControlRequest | None = None
    defined_remotely: bool = False
    schedule: ScheduleSettings | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a machine refuses a request, and the command that would allow it."""

    detail: str
    remedy: str


def class_needed(request: LinkRequest, owner: str) -> LinkClass:
    """Return the class that a policy has to allow for a request.

    Work that came through the link is not controlled with less than the right to define work: with
    ``author`` withdrawn, nobody can run it again from the cloud.
    """
    needed = request.operation.link_class
    if needed is not LinkClass.CONTROL:
        return needed
    control = request.control
    if control is None or control.changes is not None or control.sources:
        return LinkClass.AUTHOR
    wakes_own = control.action is Action.WAKE and request.caller.user == owner
    if control.action not in _CONTROL and not wakes_own:
        return LinkClass.AUTHOR
    return LinkClass.AUTHOR if request.defined_remotely else LinkClass.CONTROL


def refusal_of(policy: LinkPolicy, owner: str, request: LinkRequest) -> Refusal | None:
    """Return why a machine refuses a request, or None if its policy allows it.

    Args:
        policy: The policy of the machine.
        owner: The user who linked it.
        request: The request.
    """
    needed = class_needed(request, owner)
    name = request.operation.name if request.control is None else request.control.action
    if needed not in ALLOWABLE:
        return Refusal(f"{name} is never allowed through a link", _never_remedy(needed))
    refusal = _host_refusal(request)
    if refusal is not None:
        return refusal
    is_owner = request.caller.user == owner
    if not is_owner and needed not in SHARED:
        where = (
            "" if needed in policy.allow else " on the machine: its policy allows no such request"
        )
        return Refusal(
            f"{name} is of class {needed}, which other members may not request on this machine",
            f"ask {owner} to do it{where}",
        )
    if not is_owner and policy.who != "org":
        return Refusal(
            f"this machine accepts requests of {owner} only",
            f"on the machine, {owner} can allow other members: conducto agent link --who org",
        )
    if needed in policy.allow:
        return None
    classes = ",".join(one for one in ALLOWABLE if one in {*policy.allow, needed})
    return Refusal(
        f"{name} is of class {needed}, which this machine does not allow",
        f"allow it on the machine: conducto agent link --allow {classes}",
    )


def _host_refusal(request: LinkRequest) -> Refusal | None:
    """Return why a request may not start a program of the machine, outside of containers.

    A program that the cloud has defined would run as the user of the agent, and that of a schedule
    would run again and again, also after the link has ended.
    """
    schedule = request.schedule
    if schedule is not None and isinstance(schedule.what, ScriptSource):
        return Refusal(
            "a schedule of a script is never created or changed through a link",
            "create or change it on the machine itself: conducto schedule",
        )
    if request.operation.name == START_PROGRAM.name and request.defined_remotely:
        return Refusal(
            "the program of a pipeline that came through the link is never started through it",
            "start it on the machine itself",
        )
    return None


def redefines_work(request: LinkRequest) -> bool:
    """Return whether a request changes what the commands of its pipeline do."""
    if request.operation.name != CONTROL.name:
        return request.operation.name in _REDEFINING
    control = request.control
    if control is None:
        return False
    changes = control.changes is not None or bool(control.sources)
    return not control.preview and (changes or control.action in _REDEFINING_ACTIONS)


def _never_remedy(needed: LinkClass) -> str:
    if needed is LinkClass.SECRETS:
        return "secrets of a machine are managed on it: conducto secrets"
    return "run it on the machine itself"
