"""The operation for a command in the container of a failure."""

from conducto.wire.printable import shell_word
from conducto_core.api.operation import LinkClass, Permission, send
from conducto_core.assistants.model import ExecRequest, ExecResult
from conducto_core.run.model import params as p

EXEC = send(
    "exec_in_failure",
    "POST /pipelines/{id}/exec",
    p.PipelineParams,
    ExecRequest,
    ExecResult,
    Permission.CHANGE_STATE,
    "Run a shell command in a container like that of an attempt, without secrets by default.",
    link_class=LinkClass.DEBUG,
    kept=False,  # its output may hold anything
    elsewhere=lambda params, request: (
        f"{request.path}: this server runs no single commands in containers of failures; a person "
        f"can open a shell: conducto debug {params.id} {shell_word(request.path)} --remote"
    ),
)
