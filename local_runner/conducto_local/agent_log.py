"""The agent's log: one line per decision, ``key=value``."""

import json
import logging
import logging.handlers
import os
import re
import sys
import time
from pathlib import Path

MAX_BYTES = 8 << 20
_PLAIN = re.compile(r"[\w./:@+,-]+\Z")
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class KeyValueFormatter(logging.Formatter):
    """Renders a record as ``time=… level=… logger=… event="…"`` and its extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by the traceback if there is one."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{k: v for k, v in vars(record).items() if k not in _OWN_FIELDS},
        }
        line = " ".join(f"{name}={_plain(value)}" for name, value in fields.items())
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _plain(value: object) -> str:
    text = str(value)
    return text if _PLAIN.match(text) else json.dumps(text, ensure_ascii=False)


class _OwnOutputHandler(logging.handlers.RotatingFileHandler):
    """Redirects the process's own stdout and stderr when it starts a new file."""

    def doRollover(self) -> None:  # noqa: N802  the name is logging's
        super().doRollover()
        if self.stream is not None:
            for descriptor in (1, 2):
                os.dup2(self.stream.fileno(), descriptor)


def log_to(path: Path | None) -> logging.Handler:
    """Make every logger write to ``path`` (at most two files of 8 MB), or to stderr.

    The caller must close the returned handler.
    """
    handler: logging.Handler
    if path is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = _OwnOutputHandler(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(KeyValueFormatter())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
    return handler
