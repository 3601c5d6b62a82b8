"""The architecture of the machines that commands run on."""

import re

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.asl.rules.forecast import estimate
from conducto_core.images.build_plan import BuildPlan, Sources, plan
from conducto_core.tree.model import Pipeline
from conducto_core.tree.rules.checks import Limits, check_size
from conducto_core.tree.rules.provenance import parameters
from conducto_core.tree.rules.resolve import resolve, resolve_generated
from conducto_core.workers.rules.fargate import PRICES, Size, size_for
from conducto_core.workers.rules.pools import pool_of

NEW = co.ContainerReuseContext.NEW


def tree(root: co.Node) -> Pipeline:
    return resolve(to_launch_form(root))


def test_the_architecture_is_inherited_and_part_of_the_pool_and_of_the_image() -> None:
    root = co.Parallel(image="busybox", arch="arm64")
    root["a"], root["b"] = co.Exec("true"), co.Exec("true")
    root["x86"] = co.Exec("true", arch="x86_64")
    pipeline = tree(root)

    nodes = pipeline.nodes
    (image,) = {nodes["/a"].placement.image, nodes["/b"].placement.image}
    pools = {path: pool_of(nodes[path], "abc", ()) for path in ("/a", "/b", "/x86")}
    assert (pipeline.images[image].arch, pipeline.images[image].image) == ("arm64", "busybox")
    assert pools["/a"] == pools["/b"]
    assert pools["/a"].name != pools["/x86"].name
    assert [pools[path].size.arch for path in ("/a", "/x86")] == ["arm64", ""]


def test_a_tree_without_architectures_is_resolved_as_before() -> None:
    pipeline = tree(co.Exec("true", image="busybox"))

    assert pipeline.root.placement.arch == ""
    assert [image.arch for image in pipeline.images.values()] == [""]


def test_the_source_of_architecture_and_image_is_the_node_that_sets_them() -> None:
    root = co.Serial(image="busybox", arch="arm64")
    root["a"] = co.Exec("true")
    nodes = tree(root).nodes

    found = {each.name: each for each in parameters((nodes["/a"], nodes["/"]))}

    assert (found["arch"].value, found["arch"].source) == ("arm64", "/")
    assert found["image"].source == "/"
    assert found["image"].value == nodes["/"].placement.image


@pytest.mark.parametrize(
    ("written", "nearest"),
    [("arm46", "arm64"), ("amd64", "x86_64"), ("aarch64", "arm64"), ("ARM64", "arm64")],
)
def test_an_unknown_architecture_is_refused_with_the_nearest(written: str, nearest: str) -> None:
    said = re.escape(
        f"arch must be 'x86_64' or 'arm64', got {written!r}; did you mean {nearest!r}?"
    )
    with pytest.raises((ValueError, DefinitionError), match=said):
        tree(co.Exec("true", image="busybox", arch=written))


@pytest.mark.parametrize("written", ["", "sparc", 64, True])
def test_another_value_than_an_architecture_is_refused(written: object) -> None:
    with pytest.raises((ValueError, DefinitionError), match="arch must be 'x86_64' or 'arm64'"):
        tree(co.Exec("true", image="busybox", arch=written))  # type: ignore[arg-type]


def test_two_architectures_in_one_container_are_refused() -> None:
    root = co.Serial(image="busybox", container_reuse_context=NEW)
    root["a"], root["b"] = co.Exec("true"), co.Exec("true", arch="arm64")

    with pytest.raises(DefinitionError, match=r"^/b: arch='arm64' differs from arch=None of /a"):
        tree(root)


def test_a_generated_tree_uses_the_images_of_its_architecture() -> None:
    root = co.Serial(image="busybox", arch="arm64")
    root["lazy"] = co.Lazy("make")
    pipeline = tree(root)
    (target,) = [node.path for node in pipeline.nodes.values() if node.awaits_tree]
    form = to_launch_form(co.Exec("true", image="busybox"))

    grown = resolve_generated(form, target, pipeline)

    (node,) = grown.execs()
    assert node.placement.arch == "arm64"
    assert {**pipeline.images, **grown.images}[node.placement.image].arch == "arm64"


def test_workers_on_arm_have_prices_of_their_own() -> None:
    size = size_for("/", 1, 2, "arm64")

    assert size == Size(1.0, 3.0, "arm64")
    hour = PRICES.worker_hour(size) - PRICES.address_hour
    assert hour == pytest.approx(0.03238 + 3 * 0.00356)
    (pool,) = estimate(tree(co.Exec("true", image="x", arch="arm64")), max_workers=1).pools
    (other,) = estimate(tree(co.Exec("true", image="x")), max_workers=1).pools
    assert pool.dollars < other.dollars


def test_a_build_for_arm_has_a_name_of_its_own_and_its_platform() -> None:
    def planned(arch: str | None) -> BuildPlan:
        pipeline = tree(co.Exec("x", image=co.Image("x", install_pip=["a"]), arch=arch))
        return plan(pipeline.images[pipeline.root.placement.image], Sources())

    plain, x86, arm = map(planned, (None, "x86_64", "arm64"))

    assert plain.digest == x86.digest != arm.digest
    assert plain.base_digest != arm.base_digest
    assert plain.cache_key(0) != arm.cache_key(0)


@pytest.mark.parametrize(
    ("arch", "here", "emulates", "refused"),
    [
        ("arm64", "x86_64", (), True),
        ("x86_64", "arm64", (), True),
        ("arm64", "x86_64", ("arm64",), False),
        ("arm64", "arm64", (), False),
        (None, "arm64", (), False),
        ("arm64", "", (), False),  # the engine does not say
    ],
)
def test_a_machine_of_another_architecture_is_refused_unless_it_is_emulated(
    arch: str | None, here: str, emulates: tuple[str, ...], refused: bool
) -> None:
    node = tree(co.Exec("true", image="x", arch=arch)).root
    limits = Limits(cpu=8, mem=8, gpu=0, arch=here, emulates=frozenset(emulates))

    if not refused:
        check_size(node, limits)
        return
    with pytest.raises(DefinitionError, match=f"^/: arch='{arch}' cannot run here.*binfmt"):
        check_size(node, limits)
