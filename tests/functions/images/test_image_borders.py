"""Images that a pipeline may name: the role that starts workers can fetch those of every org."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.run.rules.launch_validation import check_reference
from conducto.errors import DefinitionError
from conducto_core.images.model import ImageSources
from conducto_core.run.model.states import Cause
from support.cloud.world import ME, World
from support.trees import form, lazy, parallel, serial

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
OWN = f"{HOST}/conducto-main/images/0a1b:any"
OF_OTHERS = [
    f"{HOST}/conducto-main/images/ffff:tag",
    f"{HOST}/conducto-main/images/ffff@sha256:00",
    f"{HOST}/conducto-main/images/ffff",
    f"{HOST.upper()}:443/conducto-main/images/ffff:tag",
    f"{HOST}/conducto-main/images/0a1bc:tag",
]
NOT_OF_OTHERS = [
    "python:3.11",
    "ghcr.io/acme/images/ffff:tag",
    f"{HOST}/conducto-main/images/0a1b:tag",
    f"{HOST}/conducto-main/images/0a1b@sha256:00",
    f"{HOST}/conducto-main/docker.io/library/python:3.11",
    f"{HOST}/my-conducto-main/images/ffff:tag",
]


@pytest.mark.parametrize("reference", OF_OTHERS)
def test_an_image_of_another_organisation_is_refused(reference: str) -> None:
    with pytest.raises(DefinitionError, match="is an image of another organisation"):
        check_reference("i", reference, OWN)


@pytest.mark.parametrize("reference", NOT_OF_OTHERS)
def test_every_other_image_may_be_named(reference: str) -> None:
    check_reference("i", reference, OWN)


def test_an_installation_whose_registry_has_no_host_has_borders_as_well() -> None:
    own = "conducto-emulator/images/0a1b:any"

    check_reference("i", "conducto-emulator/images/0a1b:tag", own)
    with pytest.raises(DefinitionError):
        check_reference("i", "conducto-emulator/images/ffff:tag", own)


@pytest.mark.parametrize("more", [{}, {"install_pip": ["numpy"]}])
def test_no_pipeline_is_launched_with_one(more: dict[str, Any]) -> None:
    world = World()
    tree = serial("a", image_name="own")

    def images(org: str) -> dict[str, Any]:
        return {"own": {"image": f"registry.invalid/images/{org}:0a1b", **more}}

    sources = {"own": ImageSources()}
    world.launch(tree, images=images(ME.org), sources=sources)
    with pytest.raises(DefinitionError, match=r"'own'.*another organisation"):
        world.launch(tree, images=images("other"), sources=sources)


@pytest.mark.parametrize(
    "line",
    [
        "FROM {other}",
        "FROM --platform=linux/amd64 {other} AS base",
        "ARG BASE={other}\nFROM $BASE",
        "FROM python:3.11\nCOPY --from={other} /secret /secret",
    ],
)
def test_dockerfile_built_on_another_organisations_image_is_refused(line: str) -> None:
    world = World()
    tree = serial("a", image_name="own")
    text = line.format(other="registry.invalid/images/other:0a1b")
    images = {"own": {"dockerfile_text": text}}
    sources = {"own": ImageSources(dockerfile=text)}

    with pytest.raises(DefinitionError, match=r"'own'.*another organisation"):
        world.launch(tree, images=images, sources=sources)


def test_generated_tree_cannot_use_an_image_of_another_organisation() -> None:
    world = World()
    pipeline = world.launch(lazy())
    world.serve()
    generated = form(
        parallel("x", image_name="o"), {"o": {"image": "registry.invalid/images/other:0a1b"}}
    )
    world.running()["/Generate"].finish(tree=generated)

    (attempt,) = world.attempts(pipeline, "/Generate")
    assert attempt.cause is Cause.LAZY
    assert "another organisation" in str(attempt.message)
