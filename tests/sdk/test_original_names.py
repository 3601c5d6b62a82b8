"""The names of ``conducto`` in the original client keep their meaning."""

from __future__ import annotations

from types import ModuleType

import pytest

import conducto as co

#: ``dir(conducto)`` of 0.1.28, without private names: modules, and everything else.
MODULES = [
    "api",
    "callback",
    "data",
    "git",
    "glue",
    "image",
    "integrations",
    "internal",
    "nb",
    "pipeline",
    "profile",
    "schedule",
    "shared",
    "slack",
    "util",
]
OTHERS = [
    "ContainerReuseContext",
    "Exec",
    "Image",
    "Lazy",
    "Node",
    "Notebook",
    "Parallel",
    "Params",
    "Path",
    "SameContainer",
    "Serial",
    "env_bool",
    "lazy_py",
    "lazy_shell",
    "main",
    "perm_data",
    "relpath",
    "temp_data",
]


def test_no_name_of_the_python_client_replaces_one_of_the_original() -> None:
    assert {*co._CLIENT}.isdisjoint({*MODULES, *OTHERS})


@pytest.mark.parametrize("name", MODULES)
def test_module_of_the_original_is_a_module(name: str) -> None:
    assert isinstance(getattr(co, name), ModuleType)


@pytest.mark.parametrize("name", OTHERS)
def test_name_of_the_original_exists(name: str) -> None:
    assert name in dir(co)
    assert getattr(co, name) is not None
