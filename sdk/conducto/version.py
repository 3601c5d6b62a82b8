"""The version of this package, the commit of its sources, and the name of its distribution."""

__version__ = "1.0.0rc1"
__sha1__ = "unknown"

#: The name on a package index, where ``conducto`` belongs to another publisher.
DISTRIBUTION = "conducto-pipelines"
#: The same in the names of files.
FILE_STEM = DISTRIBUTION.replace("-", "_")


def install_command(extra: str = "", options: str = "") -> str:
    """Return the command that installs Conducto, with an extra and options of pip."""
    name = f"'{DISTRIBUTION}[{extra}]'" if extra else DISTRIBUTION
    return " ".join(filter(None, ["pip install", options, name]))
