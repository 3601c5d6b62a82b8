"""What others take over: ``conducto dump-serialization`` and ``share-directory``."""

import argparse
from pathlib import Path

from conducto.cli.host.addresses import UsageError
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE


def dump_serialization(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print a pipeline's tree as ``conducto build`` reads it, or write it to a file."""
    from conducto.tree.serialise import encode  # noqa: PLC0415 - host side only

    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        text = encode(client.definition(pipeline_id).tree)
    if arguments.outfile is None:
        print(text)
        return DONE
    try:
        Path(arguments.outfile).write_text(f"{text}\n")
    except OSError as error:
        raise UsageError(f"{arguments.outfile}: {error.strerror}") from error
    return DONE


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
