import os
import subprocess
import sys

import pytest

from conducto.errors import UsageError
from conducto_cli.target.connection import ENGINE_PROBLEM, guarded
from conducto_client import AgentUnreachableError, ApiError
from conducto_core.run.model.requests import Problem


def refusal(status: int, kind: str = "about:blank") -> ApiError:
    return ApiError(
        Problem(type=kind, title="t", status=status, detail="what is wrong", remedy="what to do")
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refusal(422), 2),
        (refusal(404), 2),
        (refusal(409), 2),
        (refusal(500), 1),
        (refusal(503, ENGINE_PROBLEM), 3),
        (AgentUnreachableError("gone"), 1),
        (UsageError("wrong"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=["definition", "not found", "refused", "bug", "engine", "agent", "usage", "Ctrl-C"],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int) -> None:
    def command() -> int:
        raise error

    assert guarded(command) == code


def test_problem_is_printed_with_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise refusal(503, ENGINE_PROBLEM)

    guarded(command)

    assert capsys.readouterr().err == "conducto: what is wrong\nwhat to do\n"


def test_name_that_the_terminal_cannot_encode_is_escaped() -> None:
    code = (
        "from conducto_cli.target.connection import guarded; import sys; "
        "sys.exit(guarded(lambda: print('n\\xe4me \\u2714') or 0))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, b"n\\xe4me \\u2714\n")


def test_internal_error_is_not_hidden() -> None:
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        guarded(command)
