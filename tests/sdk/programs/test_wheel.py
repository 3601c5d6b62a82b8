"""Our own wheel for the inside of images."""

import io
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from conducto_core.images import sdk_wheel

ROOT = Path(__file__).parents[3]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    root = tmp_path / "conducto"
    for path in (
        "__init__.py", "py.typed", "tree/node.py", "tools/entry.py", "wire/fields.py",
        "notes.txt", "tree/__pycache__/node.cpython-311.pyc",
    ):  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"'{path}'\n")
    (root / "tools/entry.py").write_text(
        "import sys\n\ndef main():\n    print(sys.argv[1:])\n    return 7\n"
    )
    return root


def test_wheel_contains_only_modules_for_images(package: Path) -> None:
    assert sorted(sdk_wheel.client_files(package)) == [
        "conducto/__init__.py",
        "conducto/py.typed",
        "conducto/tools/entry.py",
        "conducto/tree/node.py",
        "conducto/wire/fields.py",
    ]


def test_same_sources_give_the_same_bytes(package: Path) -> None:
    files = sdk_wheel.client_files(package)
    first = sdk_wheel.build_wheel(files, "1.2")
    (package / "__init__.py").touch()

    assert sdk_wheel.build_wheel(sdk_wheel.client_files(package), "1.2") == first


def test_metadata_asks_for_nothing_and_old_pythons_are_welcome(package: Path) -> None:
    name, content = sdk_wheel.build_wheel(sdk_wheel.client_files(package), "1.2")
    archive = zipfile.ZipFile(io.BytesIO(content))
    text = archive.read("conducto_pipelines-1.2.dist-info/METADATA").decode()

    assert name == "conducto_pipelines-1.2-py3-none-any.whl"
    assert "Requires-Python: >=3.8" in text
    assert "Requires-Dist" not in text


def test_commands_are_those_of_the_distribution() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert sdk_wheel.SCRIPTS.items() <= scripts.items()
    assert set(scripts) - set(sdk_wheel.SCRIPTS) == {"conducto-profile"}


def test_pip_takes_the_wheel_offline(package: Path, tmp_path: Path) -> None:
    name, content = sdk_wheel.build_wheel(sdk_wheel.client_files(package), "1.2")
    (tmp_path / name).write_bytes(content)
    target = tmp_path / "target"

    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps",
         "--target", str(target), str(tmp_path / name)],
        check=True, capture_output=True,
    )  # fmt: skip

    assert (target / "conducto/tree/node.py").read_text() == "'tree/node.py'\n"
    ran = subprocess.run(
        [str(target / "bin/conducto"), "a", "b"],
        env={"PYTHONPATH": str(target)}, capture_output=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (7, b"['a', 'b']\n")


def test_command_scripts_do_not_import_re(package: Path) -> None:
    _name, content = sdk_wheel.build_wheel(sdk_wheel.client_files(package), "1.2")
    archive = zipfile.ZipFile(io.BytesIO(content))
    script = archive.read("conducto_pipelines-1.2.data/scripts/conducto").decode()

    assert script.startswith("#!python\n")
    assert "import re" not in script


def test_real_wheel_holds_the_author_api_only() -> None:
    _name, content = sdk_wheel.client_wheel()
    archive = zipfile.ZipFile(io.BytesIO(content))
    packages = {name.split("/")[0] for name in archive.namelist() if name.endswith(".py")}

    assert packages == {"conducto"}


def test_package_in_images_has_only_its_own_commands(tmp_path: Path) -> None:
    _, content = sdk_wheel.client_wheel()
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)
    entry = "import sys; from conducto.tools.entry import main; sys.exit(main())"

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-S", "-c", entry, *words],
            input="nothing",
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(tmp_path)},
            check=False,
        )

    listing, checking = run("list"), run("validate-serialization")

    assert listing.returncode == 2
    assert "'conducto FILE.py [METHOD ...]' works" in listing.stderr
    assert (checking.returncode, "not a serialized tree" in checking.stderr) == (2, True)


IMPORT_ALL = """
import pkgutil, sys, traceback
sys.path.insert(0, sys.argv[1])
import conducto
from conducto.tree.validate import validate
found = [m.name for m in pkgutil.walk_packages(conducto.__path__, "conducto.", onerror=print)]
for name in found:
    try:
        __import__(name)
    except ImportError as error:
        if error.name is None or error.name.startswith("conducto"):
            raise SystemExit(f"{name}: {error}")
root = conducto.Serial(image="busybox")
root["a"] = conducto.Exec("true")
validate(root)
print(len(found))
"""


def test_every_module_of_the_wheel_finds_its_imports(tmp_path: Path) -> None:
    """Of our own modules; of others, such as matplotlib, it is for the image to have them."""
    _, content = sdk_wheel.client_wheel()
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path)

    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-c", IMPORT_ALL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert int(ran.stdout.split()[-1]) > 50
