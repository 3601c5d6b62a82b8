"""Names of layers and the order of steps."""

import pytest

from conducto_core.images import dockerfile as layers
from conducto_core.images.model import ImageSpec
from conducto_core.run.model.records import ImageState


def test_definition_does_not_contain_the_name() -> None:
    one = ImageSpec(name="a", image="busybox", install_pip=("six",))
    other = ImageSpec(name="b", image="busybox", install_pip=("six",))

    assert layers.definition_hash(one) == layers.definition_hash(other)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "bash"},
        {"install_pip": ("six",)},
        {"shell": "/bin/sh"},
        {"copy_dir": "/code"},
        {"docker_build_args": {"A": "1"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_other_field_is_part_of_it(change: dict[str, object]) -> None:
    plain = {"name": "a", "image": "busybox"}

    assert layers.definition_hash(ImageSpec.model_validate(plain)) != layers.definition_hash(
        ImageSpec.model_validate({**plain, **change})
    )


def test_steps_come_in_the_order_of_the_work() -> None:
    spec = ImageSpec(
        name="a",
        image="busybox",
        copy_url="https://example.com/r.git",
        copy_branch="main",
        install_docker=True,
    )

    assert layers.steps(spec) == (
        ImageState.QUEUED,
        ImageState.CLONING,
        ImageState.PULLING,
        ImageState.INSTALLING,
        ImageState.COPYING,
        ImageState.EXTENDING,
        ImageState.DONE,
    )


def test_a_dockerfile_is_built_not_pulled() -> None:
    steps = layers.steps(ImageSpec(name="a", dockerfile_text="FROM busybox"))

    assert ImageState.BUILDING in steps
    assert ImageState.PULLING not in steps


def test_copied_code_is_mapped() -> None:
    spec = ImageSpec(
        name="a", image="busybox", copy_dir="/home/me/code", path_map={"/home/me/lib": "/lib/mine"}
    )

    assert layers.path_map(spec) == {"/home/me/code": "/mnt/conducto", "/home/me/lib": "/lib/mine"}


def test_copy_layer_as_a_dockerfile_quotes_values() -> None:
    spec = ImageSpec(name="a", image="busybox", copy_dir="/code")

    text = layers.copy_dockerfile(spec, "base:1", {"CONDUCTO_GIT_BRANCH": "a b"})

    assert text == (
        "FROM base:1\nARG CONDUCTO_OWNER=0\nCOPY --chown=${CONDUCTO_OWNER} . /mnt/conducto\n"
        'WORKDIR /mnt/conducto\nENV CONDUCTO_GIT_BRANCH="a b"\n'
    )


def test_entrypoint_is_kept_as_text() -> None:
    assert layers.saved_entrypoint(["/bin/tini", "--"]) == '["/bin/tini", "--"]'
    assert layers.saved_entrypoint([]) is None
    assert layers.saved_entrypoint(None) is None
