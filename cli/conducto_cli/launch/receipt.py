"""The receipt of a launch, for the agent that started the program (`conducto.wire.launching`)."""

import json
import os
from pathlib import Path

from conducto.wire.launching import LAUNCH_KEY, LAUNCH_TAG, RECEIPT


def is_wanted() -> bool:
    """Return whether an agent started this process to launch or plan a pipeline."""
    return bool(os.environ.get(RECEIPT))


def write(**content: object) -> None:
    """Write the id of the launched pipeline, or the plan, if an agent waits for it."""
    file = os.environ.get(RECEIPT)
    if file:
        Path(file).write_text(json.dumps(content))


def launch_key() -> str | None:
    """Return the idempotency key of the first launch, if a schedule started this process."""
    return os.environ.pop(LAUNCH_KEY, "") or None


def launch_tags() -> tuple[str, ...]:
    """Return the tags that the pipeline must have besides its own."""
    tag = os.environ.get(LAUNCH_TAG)
    return (tag,) if tag else ()
