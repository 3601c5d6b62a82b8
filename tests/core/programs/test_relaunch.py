"""Every reader of a pipeline may read its definition, so it holds no password."""

from conducto_core.images.model import CloneSource, ImageSources
from conducto_core.programs.relaunch import launch_request, without_passwords
from conducto_core.run.model.records import PipelineRecord
from conducto_core.run.model.requests import LaunchRequest


def test_definition_names_a_repository_without_its_password() -> None:
    record = PipelineRecord(id="abc-def", title="T", created=0.0)
    images = {"a": {"copy_url": "https://me:secret@example.com/r.git", "copy_branch": "main"}}
    tree = {"nodes": [], "images": {**images, "b": {"image": "busybox", "copy_url": None}}}

    found = without_passwords(launch_request(record, tree)).tree

    assert found["images"]["a"]["copy_url"] == "https://example.com/r.git"
    assert found["images"]["a"]["copy_branch"] == "main"
    assert found["images"]["b"] == tree["images"]["b"]
    assert images["a"]["copy_url"].startswith("https://me:secret@")  # the stored form is unchanged


def test_definition_has_no_password_in_the_sources_of_images() -> None:
    url = "https://x-access-token:secret@github.com/acme/app.git"
    clone = CloneSource(url=url, branch="main", commit="a" * 40)
    sources = {"code": ImageSources(clone=clone), "plain": ImageSources(dockerfile="FROM busybox")}
    launch = LaunchRequest(tree={"nodes": []}, sources=sources)

    found = without_passwords(launch)

    assert found.sources["code"].clone == CloneSource(
        url="https://github.com/acme/app.git", branch="main", commit="a" * 40
    )
    assert found.sources["plain"] == sources["plain"]
    assert "secret" not in found.model_dump_json()
