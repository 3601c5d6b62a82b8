"""Logs of the functions: one JSON object a line, with what the call said besides its words."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from tests.fakes.cloud import FakeMachines

from chalicelib.api.dispatch import Request
from chalicelib.secrets.handlers import VaultSecrets
from conducto_core.api.idempotency import MemoryResponses
from conducto_core.command.json_logs import JsonLines, LambdaLines, log_fields, set_up
from conducto_core.run.model.records import AttemptRecord
from conducto_core.secrets.port import SecretName, StoredSecret
from conducto_core.workers.model import Report
from conducto_core.workers.operations import REPORT
from support.cloud.world import ME, World
from support.trees import form, leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functions.conftest import Front


def line_of(log: logging.Logger, caplog, call) -> dict[str, object]:
    with caplog.at_level(logging.DEBUG, log.name):
        call(log)
    text = LambdaLines().format(caplog.records[-1])
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return json.loads(text)


def test_fields_that_a_call_gives_are_fields_of_the_line(caplog) -> None:
    log = logging.getLogger("chalicelib.test")
    extra = {"run_id": "abc-def-3", "path": "/tests/a", "attempt": 2}

    line = line_of(log, caplog, lambda log: log.info("it %s", "moved", extra=extra))

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "INFO",
        "logger": "chalicelib.test",
        "message": "it moved",
        **extra,
    }


def test_an_exception_stays_on_its_line(caplog) -> None:
    def call(log: logging.Logger) -> None:
        try:
            int("no\nway")
        except ValueError:
            log.exception("a pipeline was not reconciled", extra={"pipeline": "p"})

    line = line_of(logging.getLogger("chalicelib.test"), caplog, call)

    assert line["message"] == "a pipeline was not reconciled"
    assert "ValueError: invalid literal" in line["error"]
    assert line["pipeline"] == "p"


def test_values_without_a_json_form_are_written_as_text(caplog) -> None:
    line = line_of(
        logging.getLogger("x"), caplog, lambda log: log.warning("odd", extra={"what": {1}})
    )

    assert line["what"] == "{1}"


def formatted(formatter: JsonLines) -> dict[str, Any]:
    return json.loads(formatter.format(logging.makeLogRecord({"msg": "it moved"})))


def test_fields_around_are_in_the_line_and_inner_ones_come_first() -> None:
    with log_fields(pipeline="p", worker="w1", path=None):
        with log_fields(worker="w2", attempt=1):
            inner = formatted(JsonLines())
        outer = formatted(JsonLines())

    assert {k: inner[k] for k in ("pipeline", "worker", "attempt")} == {
        "pipeline": "p",
        "worker": "w2",
        "attempt": 1,
    }
    assert outer["worker"] == "w1"
    assert "path" not in inner
    assert "pipeline" not in formatted(JsonLines())


def test_fields_of_the_process_are_in_the_lines_of_all_its_threads() -> None:
    found: list[dict[str, Any]] = []
    formatter = JsonLines(worker="w1")
    thread = threading.Thread(target=lambda: found.append(formatted(formatter)))

    thread.start()
    thread.join()

    assert found[0]["worker"] == "w1"


def test_custom_fields_do_not_overwrite_standard_fields() -> None:
    with log_fields(message="another", level="high"):
        line = formatted(JsonLines())

    assert line["message"] == "it moved"
    assert line["level"] != "high"


# ---- what the functions write --------------------------------------------------------------------


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Give everything that is logged meanwhile, as Lambda would write it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(LambdaLines())
    handler.terminator = ""
    root = logging.getLogger("chalicelib")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def lines_of(text: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.getvalue().splitlines()]


def test_line_of_a_request_names_the_request_the_user_and_the_object(
    front: Front, written: io.StringIO
) -> None:
    status, response = front.call("POST", "/pipelines", front.token(), {"tree": form(leaf("a"))})
    assert status == 200
    pipeline = response["pipeline"]["id"]
    front.call("POST", f"/pipelines/{pipeline}/control", front.token(), {"action": "run"})

    line = next(line for line in lines_of(written) if line["message"] == "a worker was not started")
    assert line["pipeline"] == pipeline
    assert line["operation"] in ("launch", "control")
    assert (line["org"], line["user"]) == ("acme", "ann")
    assert line["run_id"].startswith(pipeline)
    assert line["request_id"]


class Broken(FakeMachines):
    """Step Functions is unreachable when a task is completed."""

    def succeed(self, token: str, output: Any) -> None:
        raise OSError("no route to host")


SECRET = "hunter2-hunter2"


def test_line_of_a_worker_call_names_the_command_and_no_secret(
    written: io.StringIO,
) -> None:
    world = World()
    secret = StoredSecret(SecretName("user", "PASSWORD"), SECRET)
    VaultSecrets(world.vault, ME.org, ME.user).put([secret])
    pipeline = world.launch(leaf("a", command="echo $PASSWORD"))
    world.serve()
    (hand,) = world.living()
    assert hand.job is not None
    assert hand.job.env["PASSWORD"] == SECRET
    world.machines.__class__ = Broken
    body = Report(path="/", attempt=1, exit_code=0).model_dump_json().encode()
    request = Request({}, (), {"content-type": "application/json"}, body)

    response = world.services.api(lambda _: MemoryResponses()).call(REPORT, hand.identity, request)

    assert response.status == 200, response.body
    (line,) = [line for line in lines_of(written) if line["message"] == "an effect failed"]
    assert (line["pipeline"], line["worker"]) == (pipeline, hand.id)
    assert (line["path"], line["attempt"], line["operation"]) == ("/", 1, "worker_report")
    for hidden in (SECRET, hand.task.token, hand.key, hand.token):
        assert hidden not in written.getvalue()


def test_invalid_record_is_reported_without_its_arguments() -> None:
    with pytest.raises(ValidationError) as caught:
        AttemptRecord.model_validate(
            {"path": "/a", "number": "x", "env": {"PASSWORD": 7, "K": SECRET}}
        )

    assert SECRET not in str(caught.value)
    assert "number" in str(caught.value)


def test_existing_handler_gets_the_formatter_and_a_missing_one_is_created() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        root.handlers[:] = []
        set_up(JsonLines(), logging.WARNING)
        (attached,) = root.handlers
        assert isinstance(attached.formatter, JsonLines)
        set_up(LambdaLines(), logging.WARNING)
        assert isinstance(attached.formatter, LambdaLines)
        assert root.handlers == [attached]
    finally:
        root.handlers[:], root.level = before, level


def test_lines_of_chalice_and_of_our_package_are_json(
    front: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    chalice, root = logging.getLogger(front.module.app.app_name), logging.getLogger()
    before = chalice.handlers[:], chalice.propagate, root.handlers[:], root.level
    level = chalice.level
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.terminator = ""
    try:
        root.handlers[:] = [handler]
        set_up(LambdaLines())
        with log_fields(request_id="r-1"):
            chalice.error("it broke")
            logging.getLogger("conducto_core.api.problems").info("it broke")
    finally:
        chalice.handlers[:], chalice.propagate, root.handlers[:], root.level = before
        chalice.setLevel(level)

    assert [line["request_id"] for line in lines_of(text)] == ["r-1", "r-1"]
    assert "it broke" not in "".join(capsys.readouterr())
