"""Another distribution named ``conducto`` in the same environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conducto.distribution import find_collision
from conducto.version import DISTRIBUTION, install_command

SDK = Path(__file__).parents[2] / "sdk"
OURS = "[console_scripts]\nconducto = conducto.tools.entry:main\n"
SCRIPT = """
import conducto as co

def empty() -> co.Serial:
    return co.Serial()

co.main(default=empty)
"""
ANOTHER = "another publisher's client, and has the same files as conducto-pipelines"
THEIRS = "[console_scripts]\nconducto = conducto.__main__:main\n"


def install(folder: Path, name: str, entry_points: str, direct_url: object = None) -> Path:
    """Write the records of an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-0.1.28.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.28\n")
    (info / "entry_points.txt").write_text(entry_points)
    if direct_url is not None:
        (info / "direct_url.json").write_text(json.dumps(direct_url))
    return folder


def test_our_distribution_collides_with_nothing(tmp_path: Path) -> None:
    install(tmp_path, DISTRIBUTION, OURS)
    install(tmp_path, "conducto-plugin", THEIRS)

    assert find_collision([str(tmp_path), str(tmp_path / "missing")]) is None


def test_client_of_another_publisher_is_named_with_two_commands(tmp_path: Path) -> None:
    found = find_collision([str(install(tmp_path, "conducto", THEIRS))])

    assert found is not None
    assert not found.is_ours
    assert found.message().splitlines() == [
        f"the distribution 'conducto' 0.1.28 in this environment is {ANOTHER}; run:",
        "  pip uninstall --yes conducto",
        "  pip install --force-reinstall --no-deps conducto-pipelines",
    ]


def test_older_checkout_is_recognised_as_this_project(tmp_path: Path) -> None:
    url = {"url": "file:///home/ada/a%20checkout", "dir_info": {"editable": True}}
    found = find_collision([str(install(tmp_path, "conducto", OURS, url))])

    assert found is not None
    assert found.is_ours
    assert found.commands[1].endswith("--no-deps --editable '/home/ada/a checkout'")


@pytest.mark.parametrize(
    ("entry_points", "code"), [(THEIRS, 2), (OURS, 0)], ids=["theirs", "an older one of ours"]
)
@pytest.mark.parametrize("way", ["script", "command"])
def test_only_another_publishers_client_stops_scripts_and_commands(
    entry_points: str, code: int, way: str, tmp_path: Path
) -> None:
    site = install(tmp_path / "site", "conducto", entry_points)
    for package in ("sdk/conducto", "cli/conducto_cli", "core/conducto_core"):
        (site / Path(package).name).symlink_to(SDK.parent / package)
    script = tmp_path / "pipeline.py"
    script.write_text(SCRIPT)
    entry = "import sys; from conducto.tools.entry import main; sys.exit(main(['--help']))"
    words = [str(script)] if way == "script" else ["-c", entry]

    done = subprocess.run(
        [sys.executable, *words],
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code, done.stderr
    assert (install_command(options="--force-reinstall --no-deps") in done.stderr) == (code == 2)
    assert "Traceback" not in done.stderr
