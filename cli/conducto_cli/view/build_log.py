"""The output of an image's build, copied to the terminal."""

import sys

from conducto.errors import UsageError
from conducto_cli.references import suggestion
from conducto_cli.text.text import printable
from conducto_client import Client
from conducto_core.model.params import ImageLogParams

_FOLLOW_SECONDS = 20.0


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
        chunk = client.image_log_page(query)
        sys.stdout.write(chunk.text)
        sys.stdout.flush()
        # Behind `next` there may be the beginning of a character that is not whole yet.
        at_end = chunk.next >= chunk.size or chunk.next == chunk.offset
        if at_end and (chunk.complete or not follow):
            return
        query = query.model_copy(update={"offset": chunk.next})
