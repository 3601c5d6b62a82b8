"""The layout of a cloud worker's task: two containers and their shared volume. Pure.

The container ``user`` has the user's image and runs the command server as its process 1; the
container ``agent`` has the agent's image. Both are essential and neither depends on the other:
`user_entry` waits for the agent by itself, since ECS stops containers in the reverse order of their
dependencies, and the agent must learn of a stop first.
"""

from conducto_core.command.server import server_code, shell_code
from conducto_core.images.dockerfile import SHELLS

AGENT = "agent"
USER = "user"
#: Variable of the container ``user`` with the names of its services, for ``/etc/hosts``.
SERVICE_NAMES = "CONDUCTO_SERVICE_NAMES"

#: The shared volume: its name and its path in both containers.
VOLUME = "ctl"
CTL = "/ctl"

#: Paths of the data of the pipeline and of its user in the containers.
DATA_MOUNTS = {"pipeline": "/conducto/data/pipeline", "user": "/conducto/data/user"}

#: The volume with the files of a cached command (`conducto_core.cache.views`), and the paths of
#: this volume and of the pipeline's data in the container ``agent``. The container ``user`` has the
#: volume in place of the pipeline's data, and the data, read-only, where the links of views lead.
VIEW_VOLUME = "view"
VIEW = "/conducto/view"
DATA_OF_AGENT = "/conducto/pipeline"

#: Seconds that both containers may take to stop; the maximum of Fargate. The server, being process
#: 1, ignores TERM, and ends when the agent does.
STOP_TIMEOUT = 120


#: Variable with the address of the task role's credentials; the id in it is the only key to them.
_CREDENTIALS = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#: Variables with addresses of the task's role and metadata, which ECS sets in every container. The
#: worker's own role can mount any pipeline's files, so commands must not see them.
ECS_VARIABLES = (
    _CREDENTIALS,
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "ECS_CONTAINER_METADATA_URI",
    "ECS_CONTAINER_METADATA_URI_V4",
    "ECS_AGENT_URI",
)


#: Directory in the shared volume with the files of a debug shell.
SHELL = "shell"
#: The command of ECS Exec in the container ``user`` of a debug shell; AWS keeps it in its logs.
ENTER = f"/bin/sh {CTL}/{SHELL}/enter"


class AgentVariables:
    """Environment variables of the container ``agent`` only."""

    API_URL = "CONDUCTO_API_URL"
    TOKEN = "CONDUCTO_WORKER_TOKEN"  # noqa: S105  (a name)
    #: Its pipeline and its name, for its log.
    PIPELINE = "CONDUCTO_PIPELINE_ID"
    WORKER = "CONDUCTO_WORKER_ID"
    #: Its services (`conducto_core.services.rules.to_agent`).
    SERVICES = "CONDUCTO_SERVICES"


def user_entry(*, credentials: bool = False) -> list[str]:
    """Return the entry point of the user's container; its command must be empty.

    It must be process 1: ``initProcessEnabled`` has to be off. A first shell replaces itself by a
    second one: the initial environment of a process stays readable in /proc, so `ECS_VARIABLES`
    must be unset before the final process starts.

    Args:
        credentials: Commands get the task's role, because the administrator assigned it to them.
    """
    dropped = [name for name in ECS_VARIABLES if not (credentials and name == _CREDENTIALS)]
    drop = f'unset {" ".join(dropped)}; exec /bin/sh -c "$0" "$@"'
    text = shell_code("task_entry.sh") + "\n" + server_code()
    return ["/bin/sh", "-c", drop, text, "conducto-worker", CTL, *SHELLS]
