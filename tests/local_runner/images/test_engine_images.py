"""Small parts of the talk with the engine."""

import pytest

from conducto_local.images.engine_images import split_reference, with_env


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("python", ("python", "latest")),
        ("python:3.11-slim", ("python", "3.11-slim")),
        ("host:5000/me/app", ("host:5000/me/app", "latest")),
        ("host:5000/me/app:1", ("host:5000/me/app", "1")),
        ("app@sha256:abc", ("app", "sha256:abc")),
    ],
)
def test_references_are_split(reference: str, expected: tuple[str, str]) -> None:
    assert split_reference(reference) == expected


def test_variables_are_replaced_where_they_exist() -> None:
    config = {"Env": ["PATH=/bin", "A=1"]}

    assert with_env(config, {"A": "2", "B": "x=y"}) == ["PATH=/bin", "A=2", "B=x=y"]


def test_image_without_variables_gets_them() -> None:
    assert with_env({"Env": None}, {"A": "1"}) == ["A=1"]
