"""The fingerprints by which a pipeline on this machine continues."""

from conducto_core.images.rules import definition_of
from conducto_core.programs.relaunch import fingerprint_in
from conducto_core.programs.rules.continuation import with_generated
from conducto_local.engine.port import BuiltImage
from conducto_local.programs.continuation import prints
from conducto_local.secrets.injection import NOTHING
from support.trees import form, lazy, parallel, serial


def test_image_without_one_of_the_generated_trees_is_found_by_its_definition() -> None:
    root = form(parallel(lazy("A"), lazy("B")))
    trees = {
        f"/{name}/Execute": form(serial("x", image_name="img"), {"img": {"image": reference}})
        for name, reference in (("A", "alpine:1"), ("B", "debian:1"))
    }
    both, _ = with_generated(root, trees)
    one, _ = with_generated(root, {"/B/Execute": trees["/B/Execute"]})
    built = [
        (definition_of(spec), BuiltImage(f"sha256:{spec.image}", "/bin/sh", "/"))
        for spec in both.images.values()
    ]

    found = [prints(tree, built, NOTHING, str)["/B/Execute/x"] for tree in (both, one)]

    debian = BuiltImage("sha256:debian:1", "/bin/sh", "/")
    node = both.nodes["/B/Execute/x"]
    assert both.nodes["/B/Execute/x"].placement.image != one.nodes[node.path].placement.image
    assert found == [fingerprint_in(node, debian, NOTHING.origins, str)] * 2
