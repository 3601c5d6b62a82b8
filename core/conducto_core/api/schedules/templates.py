"""The stored form of a template: a launch request."""

import zlib

from conducto_core.model.requests import LaunchRequest


def packed(request: LaunchRequest) -> bytes:
    """Return a launch request for storage; it is not armed, and has no owner."""
    stored = request.model_copy(update={"run": False, "run_at": None, "owner": ""})
    return zlib.compress(stored.model_dump_json().encode())


def unpacked(data: bytes) -> LaunchRequest:
    """Return the launch request of stored data."""
    return LaunchRequest.model_validate_json(zlib.decompress(data))
