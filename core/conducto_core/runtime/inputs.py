"""The file of inputs of a command: the results that it uses. No I/O."""

import json
from collections.abc import Mapping

from conducto_core.semantics.results import MissingResultError

#: Maximum bytes of all results that one command uses.
MAX_INPUTS = 4 << 20


def inputs_text(results: Mapping[str, bytes]) -> str:
    """Return the content of the file: ``{path: result}`` as JSON; empty without results.

    Raises:
        MissingResultError: a result is missing or incomplete, or they are too large.
    """
    parts = [f"{json.dumps(path)}:{_checked(path, data)}" for path, data in results.items()]
    size = sum(map(len, parts))
    if size > MAX_INPUTS:
        raise MissingResultError(
            f"the {len(parts)} results that it uses have {size:,} bytes together; the maximum is "
            f"{MAX_INPUTS:,}; return names of files in the pipeline's data instead"
        )
    return f"{{{','.join(parts)}}}" if parts else ""


def _checked(path: str, data: bytes) -> str:
    if not data:
        raise MissingResultError(
            f"it uses the result of {path}, which has none: its function returned None, or a value "
            f"that could not be kept (see the end of the stderr of {path})"
        )
    try:
        json.loads(data)
    except ValueError as error:
        raise MissingResultError(
            f"it uses the result of {path}, which is incomplete: {error}; run {path} again"
        ) from error
    return data.decode()
