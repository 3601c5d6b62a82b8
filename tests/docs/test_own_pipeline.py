"""The pipeline of this project, `pipelines/ci.py`, outside of a container."""

import importlib.util
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_its_commands_find_each_package_that_the_import_contracts_check() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    spec = importlib.util.spec_from_file_location("own_ci", ROOT / "pipelines" / "ci.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    path = [ROOT / each for each in script.main().env["PYTHONPATH"].split(":")]
    packages = project["tool"]["importlinter"]["root_packages"]
    assert [each for each in packages if not any((p / each).is_dir() for p in path)] == []
