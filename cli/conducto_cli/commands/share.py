"""``conducto share``: names a directory in the profile."""

import argparse
from pathlib import Path

from conducto_cli.exit_codes import DONE
from conducto_cli.references import UsageError


def share_directory(arguments: argparse.Namespace) -> int:
    """Give a directory a name in the profile."""
    from conducto.api.config import Config, current_profile  # noqa: PLC0415 - reads files

    directory = Path(arguments.directory)
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    profile = current_profile() if arguments.profile is None else arguments.profile
    config = Config()
    try:
        config.register_named_share(profile, arguments.name, str(directory))
    except (OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    known = config.get_named_share_paths(profile, arguments.name)
    print(f"{arguments.name}: {', '.join(known)}")
    return DONE
