"""The launch request of a pipeline, to launch a similar one."""

from typing import Any

from conducto_core.images.urls import without_password
from conducto_core.model.records import PipelineRecord
from conducto_core.model.requests import LaunchRequest


def launch_request(record: PipelineRecord, tree: dict[str, Any]) -> LaunchRequest:
    """Return the request for a pipeline and its stored launch form; it does not arm the new one."""
    return LaunchRequest.model_construct(
        tree=_without_passwords(tree),
        title=record.title,
        doc=record.doc,
        tags=record.tags,
        run=False,
        run_at=None,
        sleep_when_done=record.sleep_when_done,
        retention=record.retention,
        engine=record.engine,
        program=record.program,
        owner=record.owner,
    )


def _without_passwords(tree: dict[str, Any]) -> dict[str, Any]:
    images = {
        key: {**image, "copy_url": without_password(image["copy_url"])}
        if isinstance(image, dict) and isinstance(image.get("copy_url"), str)
        else image
        for key, image in (tree.get("images") or {}).items()
    }
    return {**tree, "images": images} if images else tree
