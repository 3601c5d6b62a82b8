"""The bound on invocations of the function ``background`` that start each other.

Lambda would stop a chain of about 16 functions that invoke each other. Infra allows longer ones:
an invocation continues the work of the one before it, and hands free workers on to another
pipeline, whose own effects run in the next. The minute's check starts a new chain with whatever is
missing, so that the end of a chain delays effects, and loses none.
"""

import logging
from collections.abc import Callable
from contextvars import ContextVar

from chalicelib.domain.deferred_effects import BackgroundEvent

logger = logging.getLogger(__name__)

#: Maximum number of invocations that one request or check causes, one after another.
MAX_CHAIN = 64
#: Number of invocations before the current one.
_before: ContextVar[int] = ContextVar("background invocations", default=-1)


def begin(event: BackgroundEvent) -> None:
    """Record the place in its chain of the invocation that executes an event."""
    _before.set(event.before)


def invoke_next(invoke: Callable[[BackgroundEvent], object], event: BackgroundEvent) -> None:
    """Start an invocation, unless its chain is too long."""
    before = _before.get() + 1
    if before < MAX_CHAIN:
        invoke(event.model_copy(update={"before": before}))
    else:
        logger.error("a chain of invocations ends; the next minute's check continues")
