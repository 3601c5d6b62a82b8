"""Names of data in requests."""

from conducto.wire.data_names import clean
from conducto_core.errors import RefusedError


def cleaned(name: str) -> str:
    """Return a normalised name; the empty one is the directory's root.

    Raises:
        RefusedError: it could lead out of the directory.
    """
    try:
        return clean(name)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def of_file(name: str) -> str:
    """Return a normalised name like `cleaned`, but not the root.

    Raises:
        RefusedError: it is the root, or could lead out of the directory.
    """
    found = cleaned(name)
    if not found:
        raise RefusedError(f"{name!r} is not the name of a file; give the name of one")
    return found
