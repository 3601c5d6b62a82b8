"""Logs as JSON, one object per line, so that CloudWatch can search and count by field.

The cloud's functions and the agents of its workers use them. A line has the ``extra`` of the
logging call, the fields of `log_fields`, and the fields of the process from `set_up`: ``pipeline``,
``run_id``, ``path``, ``attempt``, ``worker``, ``request_id``, ``org``, ``operation``. It never has
secrets: no code logs the content of a request, a response or an environment, and validation errors
do not quote their input (`conducto_core.record`).
"""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

#: Attributes that every log record has; all others come from the call.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_around: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=MappingProxyType({}))


@contextmanager
def log_fields(**known: object) -> Iterator[None]:
    """Add these fields to every line logged in the context; None and empty values are left out."""
    told = {name: value for name, value in known.items() if value not in (None, "")}
    before = _around.set({**_around.get(), **told})
    try:
        yield
    finally:
        _around.reset(before)


class JsonLines(logging.Formatter):
    """Formats a record as a line; ``of_process`` are fields of every line of this process."""

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
    """Lines for Lambda's handler, which does not add line ends."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line with its end."""
        return super().format(record) + "\n"


def set_up(formatter: JsonLines, level: int = logging.INFO) -> None:
    """Log JSON lines from all loggers of this process, through existing handlers.

    Without a handler, lines go to standard error. Loggers with their own handlers and level lose
    both: Chalice's, which has the name of the package, would print its records in another format,
    and errors only.
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
    # They log the address of every request, which is of little use.
    for name in ("botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
