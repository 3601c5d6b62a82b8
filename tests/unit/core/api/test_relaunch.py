"""Every reader of a pipeline may read its definition, so it holds no password."""

from conducto_core.api.queries.relaunch import launch_request, without_passwords
from conducto_core.model.records import PipelineRecord


def test_definition_names_a_repository_without_its_password() -> None:
    record = PipelineRecord(id="abc-def", title="T", created=0.0)
    images = {"a": {"copy_url": "https://me:secret@example.com/r.git", "copy_branch": "main"}}
    tree = {"nodes": [], "images": {**images, "b": {"image": "busybox", "copy_url": None}}}

    found = without_passwords(launch_request(record, tree).tree)

    assert found["images"]["a"]["copy_url"] == "https://example.com/r.git"
    assert found["images"]["a"]["copy_branch"] == "main"
    assert found["images"]["b"] == tree["images"]["b"]
    assert images["a"]["copy_url"].startswith("https://me:secret@")  # the stored form is unchanged
