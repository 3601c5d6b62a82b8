"""Unused resources are removed, and no others."""

from conducto_local.debug.terminal import LABEL_DEBUG
from conducto_local.engine.port import LabelledResource
from conducto_local.run.attempt_records import LABEL_PIPELINE
from conducto_local.run.gc import KeepSet, unneeded_images, unneeded_shells, unneeded_workers
from conducto_local.run.snapshots import LABEL_SNAPSHOT


def needs(**given):
    nothing = {"pipelines": (), "loaded": (), "images": (), "snapshots": (), "building": False}
    return KeepSet(**{**nothing, **given})


def container(name, *, running=True, **labels):
    return LabelledResource("container", name, name, labels, running=running)


def image(name, *layers, **labels):
    return LabelledResource("image", f"sha-{name}", name, labels, size=10, layers=layers)


def names(found):
    return [one.name for one in found]


def test_containers_and_networks_of_loaded_pipelines_are_the_schedulers():
    found = [
        container("a", **{LABEL_PIPELINE: "live"}),
        container("b", **{LABEL_PIPELINE: "gone"}),
        LabelledResource("network", "n", "n", {LABEL_PIPELINE: "gone"}),
        LabelledResource("network", "m", "m", {LABEL_PIPELINE: "live"}),
    ]

    assert names(unneeded_workers(found, needs(loaded={"live"}))) == ["b", "n"]


def test_a_container_of_a_build_is_needed_while_something_is_built():
    found = [container("work")]

    assert names(unneeded_workers(found, needs(building=True))) == []
    assert names(unneeded_workers(found, needs())) == ["work"]


def test_occupied_shell_is_kept():
    found = [
        container("open", **{LABEL_DEBUG: "live"}),
        container("ended", running=False, **{LABEL_DEBUG: "live"}),
        container("orphan", **{LABEL_DEBUG: "gone"}),
        container("other"),
    ]

    assert names(unneeded_shells(found, needs(pipelines={"live"}))) == ["ended", "orphan"]


def test_images_that_a_live_pipeline_names_stay_with_all_that_they_are_made_of():
    found = [
        image("installed:1", "base", "pip"),
        image("extended:1", "base", "pip", "code"),
        image("extended:2", "base", "pip", "old code"),
        image("other:1", "else"),
    ]

    freed = names(unneeded_images(found, needs(images={"extended:1"})))

    assert freed == ["extended:2", "other:1"]


def test_no_image_goes_while_one_is_built():
    found = [image("half made", "base"), image("snap", "base", **{LABEL_SNAPSHOT: "gone"})]

    assert names(unneeded_images(found, needs(building=True))) == ["snap"]


def test_a_snapshot_stays_while_an_attempt_has_it():
    found = [image("snap:1", **{LABEL_SNAPSHOT: "abc"}), image("snap:2", **{LABEL_SNAPSHOT: "abc"})]

    assert names(unneeded_images(found, needs(snapshots={"snap:2"}))) == ["snap:1"]
