"""What others take over: ``conducto dump-serialization`` and ``share-directory``."""

import argparse
from pathlib import Path

from conducto_cli.connection import OpenClient, find_pipeline
from conducto_cli.exit_codes import DONE
from conducto_cli.references import UsageError


def dump_serialization(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Print a pipeline's tree as ``conducto build`` reads it, or write it to a file."""
    from conducto.tree.serialize import encode  # noqa: PLC0415 - host side only

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
