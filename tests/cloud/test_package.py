"""What tests of the whole cloud run: the zip that goes to Lambda, nothing of the checkout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import conducto as co
from conducto_emulator.app import AppError
from conducto_emulator.packaged import FunctionError, Package

if TYPE_CHECKING:
    from conducto_emulator.emulator import Emulator
    from support.cloud.emulated import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.cloud]

#: What is Lambda's own: its Python, which may be one inside of the checkout, and boto3.
STANDARD = Path(sys.base_prefix)
HOST = "lambda_host.py"


def test_the_functions_are_those_of_the_package(whole: Emulator, me: Cloud, package: Path) -> None:
    root = co.Serial(image="busybox:latest", cpu=0.25, mem=0.25)
    root["a"] = co.Exec("echo a")
    assert me.run(root).output("/a") == b"a\n"

    assert whole.package is not None
    files = [Path(name) for name in whole.package.describe()["files"]]

    ours = {file.relative_to(package).as_posix() for file in files if package in file.parents}
    assert {"app.py", "chalicelib/engine.py", "conducto/semantics/asl_graph.py"} <= ours
    assert {"chalice/app.py", "pydantic/__init__.py", "conducto_worker/layout.py"} <= ours
    allowed = (package, STANDARD, whole.package.runtime)
    strangers = [f for f in files if not any(root in f.parents for root in allowed)]
    assert {file.name for file in strangers} == {HOST}


def test_an_app_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import something_that_was_not_packaged\n")
    made = Package(tmp_path)

    try:
        with pytest.raises(AppError, match="cannot be imported"):
            made.start({})
    finally:
        made.close()


def test_what_a_function_raises_is_told_to_its_caller(tmp_path: Path) -> None:
    (tmp_path / "chalice.py").write_text("")
    (tmp_path / "app.py").write_text(
        "from types import SimpleNamespace as Space\n"
        "class App: pass\n"
        "app = App()\n"
        "app.__dict__.update(app_name='x', routes={}, api=Space(binary_types=[]), handler_map={},\n"
        "    websocket_handlers={}, event_sources=[])\n"
        "def broken(event, context):\n"
        "    raise ValueError(event['say'] + ' ' + context.function_name)\n"
    )
    made = Package(tmp_path)
    try:
        made.start({})
        with pytest.raises(FunctionError, match="ValueError: no such thing broken"):
            made.call("broken", {"say": "no such thing"})
    finally:
        made.close()
