"""``conducto export``: a pipeline as one HTML file."""

import argparse
import sys
from pathlib import Path

from conducto.cli.host.addresses import UsageError
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE
from conducto.cli.host.view.text import printable
from conducto.service.export.words import file_name

_STDOUT = "-"


def export(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """Write the page and say where it is."""
    with open_client() as client:
        record = find_pipeline(client, arguments.id).pipeline
        file = Path(file_name(record) if arguments.output is None else arguments.output)
        if arguments.output != _STDOUT:
            _check(file, force=arguments.force)
        page = client.export(record.id)
    if arguments.output == _STDOUT:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
        return DONE
    _write(file, page, force=arguments.force)
    print(f"{printable(str(file.absolute()))}: {len(page):,} bytes")
    return DONE


def _check(file: Path, *, force: bool) -> None:
    if file.exists() and not force:
        raise _is_there(file)


def _write(file: Path, page: bytes, *, force: bool) -> None:
    try:
        with file.open("wb" if force else "xb") as target:
            target.write(page)
    except FileExistsError as error:
        raise _is_there(file) from error
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error


def _is_there(file: Path) -> UsageError:
    return UsageError(f"{file}: is there already; --force writes over it, -o FILE takes another")
