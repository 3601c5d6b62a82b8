"""Rules for the whole suite."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from conducto_local.agent.process import reset_dispositions

# Tests send signals to the programs that they start, which inherit what this process ignores: all
# of them fail where the suite runs under nohup or in the background.
reset_dispositions()

# How long an example takes depends on the machine.
settings.register_profile("conducto", deadline=None)
settings.load_profile("conducto")

# A CI job runs the suite, but the runs in it are not to print what they print in one.
for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "BUILDKITE"):
    os.environ.pop(name, None)

# The suite may be a command of a pipeline (`pipelines/ci.py`), but not what it tests.
if os.environ.get("CONDUCTO_EXECUTION_ENV"):
    for name in [each for each in os.environ if each.startswith(("CONDUCTO_", "__RUN"))]:
        del os.environ[name]

HERE = Path(__file__).parent
#: Directories that a target of the Makefile searches for tests with a marker.
DIRECTORIES = {
    "cloud": {"system/cloud"},
    "docker": {
        "system/cloud",
        "contract",
        "system/crash",
        "system/docker",
        "local_runner/runner",
        "system/web",
    },
    "web": {"system/web"},
}
#: Directories of which one process runs all tests: CDK takes long to make their templates.
TOGETHER = {"infra", "system/packaging"}
#: Files whose tests take long and share nothing: each process takes the next one.
SINGLY = {
    "system/crash/test_crash.py",
    "system/crash/test_moments.py",
    "conformance/test_conformance.py",
}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that no target would run; choose those for an AWS of others."""
    if os.environ.get("CONDUCTO_TEST_AWS"):
        from support.cloud.other_aws import select

        items[:] = select(items)
    for item in items:
        directory = item.path.relative_to(HERE).as_posix()
        for marker, directories in DIRECTORIES.items():
            if item.get_closest_marker(marker) and not directory.startswith(
                tuple(f"{d}/" for d in directories)
            ):
                raise pytest.UsageError(
                    f"{item.nodeid} is marked {marker!r}: move it to a directory that the Makefile"
                    f" searches for such tests ({', '.join(sorted(directories))}),"
                    " or add its directory there and in tests/conftest.py"
                )


def part_of(nodeid: str) -> str:
    """Return the name of the part of the suite that one process runs as a whole.

    A part is a file, so that the fixtures of a file are made once. (The groups of
    ``--dist loadgroup`` would change the names of tests: ``--last-failed`` does not find them.)
    """
    path = nodeid.partition("::")[0].removeprefix(f"{HERE.name}/")
    if path in SINGLY:
        return nodeid
    return "together" if path.startswith(tuple(f"{d}/" for d in TOGETHER)) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Divide the suite into parts; the largest are run first."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPart(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return part_of(nodeid)

    return ByPart(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what repairs by a scripted assistant took (`support.solver`)."""
    passed = terminalreporter.stats.get("passed", [])
    found = {
        report.nodeid.rpartition("::")[2]: [int(word) for word in value.split()]
        for report in passed
        for name, value in report.user_properties
        if name == "assistant"
    }
    if not found:
        return
    terminalreporter.section("repairs by a scripted assistant")
    for name, (calls, size, repaired) in sorted(found.items()):
        end = "repaired" if repaired else "cause named"
        terminalreporter.write_line(f"{calls:2d} calls {size:6,d} bytes  {end}  {name}")
    calls, sizes, repaired = map(sum, zip(*found.values(), strict=True))
    total = f"{calls} calls, {sizes:,} bytes; {repaired} of {len(found)} repaired"
    terminalreporter.write_line(total)
