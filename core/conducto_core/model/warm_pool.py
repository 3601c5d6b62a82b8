"""The warm pool of an installation: workers that stay for the next run of their pipeline."""

from pydantic import Field

from conducto_core.model.base import Record

#: Upper bounds of the setting.
MAX_WARM_WORKERS = 100
MAX_WARM_MINUTES = 120
#: Minutes that a worker stays, unless another number is set.
WARM_MINUTES = 10


class WarmPool(Record):
    """How many workers without work stay, and for how long.

    Attributes:
        workers: Maximum number in an organisation; 0: workers leave at once.
        seconds: Time for which each stays.
    """

    workers: int = Field(default=0, ge=0, le=MAX_WARM_WORKERS)
    seconds: float = Field(default=60.0 * WARM_MINUTES, gt=0, le=60.0 * MAX_WARM_MINUTES)
