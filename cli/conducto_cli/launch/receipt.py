"""The receipt of a launch, for the agent that started the program (`conducto.wire.launching`)."""

import json
import os
from pathlib import Path

from conducto.wire.launching import RECEIPT


def is_wanted() -> bool:
    """Return whether an agent started this process to launch or plan a pipeline."""
    return bool(os.environ.get(RECEIPT))


def write(**content: object) -> None:
    """Write the id of the launched pipeline, or the plan, if an agent waits for it."""
    file = os.environ.get(RECEIPT)
    if file:
        Path(file).write_text(json.dumps(content))
