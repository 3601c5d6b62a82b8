"""The operations on debug shells, with their limits."""

from conducto.wire.printable import shell_word
from conducto_core.api.operation import WEBSOCKET, LinkClass, Permission, act, read, send
from conducto_core.debug.model import (
    DebugPlan,
    DebugRequest,
    RemoteShell,
    RemoteShellEnd,
    RemoteShellEntry,
    RemoteShellParams,
    RemoteShellRequest,
    ShellTicket,
)
from conducto_core.debug.terminal import ShellEnd, ShellParams
from conducto_core.run.model import params as p

#: Maximum number of debug shells open in pages at once, with those that have an unused ticket.
MAX_SHELLS = 4
#: Maximum seconds that a shell is open, and that it is idle.
MAX_SHELL_SECONDS = 8 * 3600.0
MAX_SHELL_IDLE = 3600.0


def _in_a_terminal(params: p.PipelineParams, request: DebugRequest) -> str:
    return (
        f"{request.path}: this server does not open shells in pages; in a terminal, run: "
        f"conducto debug {params.id} {shell_word(request.path)}"
    )


def _in_the_cloud(params: p.PipelineParams | RemoteShellParams, _request: object) -> str:
    return f"{params.id}: runs on this machine, not in the cloud; leave out --remote"


DEBUG = send(
    "debug",
    "POST /pipelines/{id}/debug",
    p.PipelineParams,
    DebugRequest,
    DebugPlan,
    Permission.DEBUG,
    "Return the container of a debug shell for an attempt, including secrets.",
    link_class=LinkClass.NEVER,
    kept=False,  # it holds secrets, and changes nothing
)
OPEN_SHELL = send(
    "open_shell",
    "POST /pipelines/{id}/shell",
    p.PipelineParams,
    DebugRequest,
    ShellTicket,
    Permission.DEBUG,
    "Return a ticket for a debug shell in the web app, if the server supports it.",
    link_class=LinkClass.DEBUG,
    kept=False,  # a ticket can be used once
    elsewhere=_in_a_terminal,
)
SHELL = read(
    "shell",
    "/shell",
    ShellParams,
    ShellEnd,
    "Connect to the debug shell of a ticket: its output and its end.",
    link_class=LinkClass.DEBUG,
    method=WEBSOCKET,
    permission=Permission.DEBUG,
    elsewhere=lambda _params, _body: (
        "this server does not open shells in pages; use 'conducto debug'"
    ),
)
OPEN_REMOTE_SHELL = send(
    "open_remote_shell",
    "POST /pipelines/{id}/remote-shells",
    p.PipelineParams,
    RemoteShellRequest,
    RemoteShell,
    Permission.DEBUG,
    "Open a debug shell on a worker of its own, if the server is in the cloud.",
    link_class=LinkClass.DEBUG,
    elsewhere=_in_the_cloud,
)
ENTER_REMOTE_SHELL = act(
    "enter_remote_shell",
    "POST /pipelines/{id}/remote-shells/{shell}/enter",
    RemoteShellParams,
    RemoteShellEntry,
    Permission.DEBUG,
    "Return the session of such a shell, once it has started.",
    link_class=LinkClass.DEBUG,
    kept=False,  # a session can be used once
    elsewhere=_in_the_cloud,
)
END_REMOTE_SHELL = act(
    "end_remote_shell",
    "DELETE /pipelines/{id}/remote-shells/{shell}",
    RemoteShellParams,
    RemoteShellEnd,
    Permission.DEBUG,
    "End such a shell.",
    link_class=LinkClass.DEBUG,
    kept=False,
    elsewhere=_in_the_cloud,
)
