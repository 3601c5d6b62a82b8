"""Logs as JSON, one object a line, so that CloudWatch can search and count by field.

The functions of the cloud and the agents of its workers write them. A line has what the logging
call gave as ``extra``, what `log_fields` says around it, and what `set_up` was told of the process:
``pipeline``, ``run_id``, ``path``, ``attempt``, ``worker``, ``request_id``, ``org``, ``operation``.

No secrets: nothing logs the content of a request, an answer or an environment, and records do not
show what they were given when they are wrong (`conducto_core.model.base`).
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

#: What every record of `logging` has; whatever else is there was given by the call.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_around: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=MappingProxyType({}))


@contextmanager
def log_fields(**known: object) -> Iterator[None]:
    """Give every line that is logged inside these fields; what is None or empty is not known."""
    told = {name: value for name, value in known.items() if value not in (None, "")}
    before = _around.set({**_around.get(), **told})
    try:
        yield
    finally:
        _around.reset(before)


class JsonLines(logging.Formatter):
    """Makes a line of a record.

    Args:
        of_process: Fields of every line of this process, in whatever thread.
    """

    def __init__(self, **of_process: object) -> None:
        super().__init__()
        self._of_process = of_process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = {k: v for k, v in vars(record).items() if k not in _OF_EVERY_RECORD}
        known = {**self._of_process, **_around.get(), **given}
        line |= {name: value for name, value in known.items() if name not in line}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class LambdaLines(JsonLines):
    """As Lambda's handler expects them: it writes no end of a line by itself."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with its end."""
        return super().format(record) + "\n"


def set_up(formatter: JsonLines, level: int = logging.INFO) -> None:
    """Make every log of this process lines of JSON: what is attached already gets the form.

    Where nothing is attached, lines go to standard error. Loggers that have a way out
    and a level of their own lose both: Chalice's is called as our package, and would print what
    that logs in another form, and errors only.
    """
    root = logging.getLogger()
    for logger in list(root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger) and logger.handlers:
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    root.setLevel(level)
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
    for handler in root.handlers:
        handler.setFormatter(formatter)
    # Of each call they say where it went; that is much, and no news.
    for name in ("botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
