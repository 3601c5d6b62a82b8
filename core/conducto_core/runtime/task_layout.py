"""How a cloud worker's task is laid out: two containers and the volume that they share. Pure.

The container ``user`` has the user's image and runs the command server as its process 1; the
container ``agent`` has ours. Both are essential and neither waits for the other: `user_entry`
waits for the agent by itself, since ECS stops containers in the reverse of the order in which
they depend on each other, and the agent must hear of a stop first.
"""

from importlib import resources

from conducto_core.images.layers import SHELLS

AGENT = "agent"
USER = "user"

#: The shared volume, by name and by where both containers have it.
VOLUME = "ctl"
CTL = "/ctl"

#: Where the containers of a pipeline find what it and its user keep.
DATA_MOUNTS = {"pipeline": "/conducto/data/pipeline", "user": "/conducto/data/user"}

#: Seconds that both containers may take to stop; the most that Fargate grants. The server, being
#: process 1, does not feel TERM, and ends when the agent does.
STOP_TIMEOUT = 120


#: Where the credentials of the task's role are; the id in it is the only key to them.
_CREDENTIALS = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#: What ECS tells every container of a task: where the task's role and its metadata are to be had.
#: Our own role mounts any pipeline's files, so commands do not see where it is.
ECS_VARIABLES = (
    _CREDENTIALS,
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "ECS_AGENT_URI",
)


#: Where, in the shared volume, a debug shell's agent puts what who enters needs.
SHELL = "shell"
#: What ECS Exec runs in the container ``user`` of a debug shell; AWS keeps it in its logs.
ENTER = f"/bin/sh {CTL}/{SHELL}/enter"


class AgentVariables:
    """Environment variables of the container ``agent``, and of that one only."""

    API_URL = "CONDUCTO_API_URL"
    TOKEN = "CONDUCTO_WORKER_TOKEN"  # noqa: S105  (a name)
    #: What it works for and what it is called: for its log.
    PIPELINE = "CONDUCTO_PIPELINE_ID"
    WORKER = "CONDUCTO_WORKER_ID"


def user_entry(*, credentials: bool = False) -> list[str]:
    """Return the entry point of the user's container; its command must be empty.

    It must be process 1: ``initProcessEnabled`` has to be off. A first shell gives its place up to
    a second one: what a process was started with stays in /proc for everybody to read, so that
    `ECS_VARIABLES` have to be gone before the process is there that stays.

    Args:
        credentials: Commands get the rights of the task's role: it is one that the administrator
            named for them.
    """
    dropped = [name for name in ECS_VARIABLES if not (credentials and name == _CREDENTIALS)]
    drop = f'unset {" ".join(dropped)}; exec /bin/sh -c "$0" "$@"'
    text = _code("task_entry.sh") + "\n" + _code("command_server.sh")
    return ["/bin/sh", "-c", drop, text, "conducto-worker", CTL, *SHELLS]


def _code(name: str) -> str:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))
