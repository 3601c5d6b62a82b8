"""Logs as JSON, one object a line, so that CloudWatch can search and count by field.

What a call gives as ``extra`` becomes a field: ``logger.info("…", extra={"run_id": …})``.
"""

import json
import logging
from datetime import UTC, datetime

#: What every record of `logging` has; whatever else is there was given by the call.
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Makes a line of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, ended as Lambda's handler expects it."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        given = {k: v for k, v in vars(record).items() if k not in _OF_EVERY_RECORD}
        line |= {name: value for name, value in given.items() if name not in line}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False) + "\n"


def set_up(level: int = logging.INFO) -> None:
    """Make every log of this process lines of JSON; what is attached already gets the form."""
    root = logging.getLogger()
    root.setLevel(level)
    for handler in root.handlers:
        handler.setFormatter(JsonLines())
    # Of each call they say where it went; that is much, and no news.
    for name in ("botocore", "boto3", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
