"""``conducto share-directory``: a name for a directory in the profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from conducto.errors import UsageError
from conducto_cli.app.exit import DONE

if TYPE_CHECKING:
    import argparse

    from conducto_cli.app.arguments import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("directory", metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
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
