"""``conducto images``: the images of a pipeline and how their builds stand."""

import argparse
import sys
import time

from conducto.cli.host.addresses import UsageError, suggestion
from conducto.cli.host.connection import OpenClient, find_pipeline
from conducto.cli.host.exit_codes import DONE
from conducto.cli.host.output import as_json
from conducto.cli.host.view.table import table
from conducto.cli.host.view.text import printable
from conducto.client import Client
from conducto.model.params import ImageLogParams
from conducto.model.records import ImageRecord, ImageState
from conducto.model.words import duration

_COLUMNS = ("NAME", "STATE", "TIME", "REFERENCE")
_FOLLOW_SECONDS = 20.0


def images(arguments: argparse.Namespace, open_client: OpenClient) -> int:
    """List images, or print what the build of one printed."""
    if arguments.follow and arguments.log is None:
        raise UsageError("--follow: say which image, with --log NAME")
    with open_client() as client:
        pipeline_id = find_pipeline(client, arguments.id).pipeline.id
        if arguments.log is not None:
            copy_build_log(client, pipeline_id, arguments.log, follow=arguments.follow)
            return DONE
        found = client.images(pipeline_id)
    if arguments.json:
        print(as_json([image.model_dump(mode="json") for image in found]))
    elif not found:
        print("this pipeline uses no images")
    else:
        for line in table([_COLUMNS, *map(_cells, found)]):
            print(line)
    return DONE


def _cells(image: ImageRecord) -> tuple[str, ...]:
    over = image.state in {ImageState.DONE, ImageState.ERROR}
    took = ""
    if image.started is not None:
        end = image.ended if over and image.ended is not None else time.time()
        took = duration(end - image.started)
    reference = "" if image.reference is None else printable(image.reference)
    return (printable(image.name), image.state.value, took, reference)


def copy_build_log(client: Client, pipeline_id: str, name: str, *, follow: bool) -> None:
    """Print what the build of an image printed, and what it prints until it ends.

    Raises:
        UsageError: the pipeline has no such image; names the nearest.
    """
    known = [image.name for image in client.images(pipeline_id)]
    if name not in known:
        there = suggestion(name, known) or f"; there are: {', '.join(map(printable, known))}"
        raise UsageError(f"no image {name!r} in this pipeline{there if known else ''}")
    wait = _FOLLOW_SECONDS if follow else 0.0
    query = ImageLogParams(id=pipeline_id, image=name, wait=wait)
    while True:
        piece = client.image_log_page(query)
        sys.stdout.write(piece.text)
        sys.stdout.flush()
        # Behind `next` there may be the beginning of a character that is not whole yet.
        at_end = piece.next >= piece.size or piece.next == piece.offset
        if at_end and (piece.complete or not follow):
            return
        query = query.model_copy(update={"offset": piece.next})
