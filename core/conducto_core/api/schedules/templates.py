"""The stored form of a template: a launch request."""

import zlib

from conducto_core.model.requests import LaunchRequest


def packed(request: LaunchRequest) -> bytes:
    """Return a launch request for storage; it is not armed, and has no owner."""
    # Its pipeline may be deleted before a firing; `template_launch` has checked it.
    changes = {"run": False, "run_at": None, "owner": "", "copy_of": None}
    stored = request.model_copy(update=changes)
    return zlib.compress(stored.model_dump_json().encode())


def unpacked(data: bytes) -> LaunchRequest:
    """Return the launch request of stored data."""
    return LaunchRequest.model_validate_json(zlib.decompress(data))
