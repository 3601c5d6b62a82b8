"""The version of this installation."""

from importlib import metadata

#: Version of a checkout that is run without being installed.
UNINSTALLED = "1.0.0.dev0"


def package_version() -> str:
    """Return the version of the installed distribution ``conducto``."""
    try:
        return metadata.version("conducto")
    except metadata.PackageNotFoundError:
        return UNINSTALLED
