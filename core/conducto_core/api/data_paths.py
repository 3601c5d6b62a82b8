"""Names of data as they come in with a request."""

from conducto.wire.data_names import clean
from conducto_core.errors import RefusedError


def cleaned(name: str) -> str:
    """Return a name without what does not matter in it; the empty one is the directory's root.

    Raises:
        RefusedError: it could lead out of the directory.
    """
    try:
        return clean(name)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def of_file(name: str) -> str:
    """Return a name as `cleaned` does, of what must not be the root.

    Raises:
        RefusedError: it is, or could lead out of the directory.
    """
    found = cleaned(name)
    if not found:
        raise RefusedError(f"{name!r} names no file; give the name of one")
    return found
