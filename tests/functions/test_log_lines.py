"""Logs of the functions: one JSON object a line, with what the call said besides its words."""

from __future__ import annotations

import json
import logging

from chalicelib.log_lines import JsonLines


def line_of(log: logging.Logger, caplog, call) -> dict[str, object]:
    with caplog.at_level(logging.DEBUG, log.name):
        call(log)
    text = JsonLines().format(caplog.records[-1])
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


def test_what_json_has_no_form_for_is_written_as_text(caplog) -> None:
    line = line_of(
        logging.getLogger("x"), caplog, lambda log: log.warning("odd", extra={"what": {1}})
    )

    assert line["what"] == "{1}"
