"""Every command that the documentation shows is executed, here or by the test that is named."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from support.documentation import DOCS, ROOT, Terminal, blocks, commands
from support.running import person_at

if TYPE_CHECKING:
    from collections.abc import Iterator

#: ``{how a command begins: the test that executes it, or why none does}``.
NOT_HERE = {
    "make ": "it sets up a checkout and runs this test",
    "git clone": "the address of the repository is left open",
    "python3 -m venv": "tests/functions/test_packaging.py installs the package",
    "pip install": "tests/functions/test_packaging.py installs the package",
    "$ python pipeline.py": "tests/system/docker/test_docs.py",
    'python -c "import boto3': "tests/system/cloud/test_buckets.py",
    "python examples/": "tests/system/docker/test_examples.py",
    "python pipelines/ci.py": "it is the project's own checks",
    "conducto approve ID --set": "tests/local_runner/runner/test_approvals.py",
    "$ conducto cache verify": "tests/system/docker/test_examples.py",
    "conducto coverage ID --diff": "tests/local_runner/runner/test_coverage_files.py",
    "pip uninstall": "tests/sdk/test_distribution.py",
    "conducto demo": "tests/cli/projects/test_demo.py",
    "conducto init": "tests/cli/projects/test_init.py",
    "conducto import": "tests/cli/import_github/test_command.py",
    "conducto debug": "tests/system/docker/test_docs.py",
    "conducto livedebug": "tests/system/docker/test_docs.py",
    "echo 'pip list' | conducto debug": "tests/system/docker/test_docs.py",
    "conducto cloud-emulator": "tests/system/cloud/test_cli.py",
    "conducto admin": "tests/system/cloud/test_cli.py",
    "conducto show --app --cloud": "tests/system/web/test_cloud.py",
    "conducto login": "tests/system/cloud/test_command_line.py",
    "conducto whoami": "tests/system/cloud/test_command_line.py",
    "conducto members": "tests/functions/people/test_organisation_commands.py",
    "conducto invite": "tests/functions/people/test_organisation_commands.py",
    "conducto tokens": "tests/functions/people/test_organisation_commands.py",
    "conducto audit": "tests/functions/people/test_organisation_commands.py",
    "conducto org": "tests/functions/people/test_organisation_commands.py",
    "conducto trigger": "tests/functions/triggers/test_triggers.py",
    "conducto notify test": "it needs a token of Slack",
    "conducto trusts": "tests/functions/test_sign_in_with_provider.py",
    "conducto secrets set DB --from aws-sm": "tests/functions/secrets/test_references.py",
    "python pipeline.py --local --run --junit": "tests/cli/view/test_ci.py, as this pipeline fails",
    "conducto logs @failed": "tests/cli/target/test_pipeline_lookup.py",
    "python pipeline.py --into": "tests/cli/launch/test_into.py, as it asks",
    "python pipeline.py --help": "tests/sdk/tree/test_main.py",
    "python pipeline.py train": "tests/sdk/tree/test_main.py",
    "python pipeline.py 3": "tests/sdk/tree/test_main.py",
    "conducto: about": "tests/cli/launch/test_plan.py",
    "$ conducto explain": "tests/cli/view/test_ci.py",
    "$ conducto why": "tests/system/docker/test_why.py",
    "$ conducto data put": "tests/local_runner/cache/test_files.py",
    "$ conducto lineage": "tests/local_runner/cache/test_files.py",
    "$ conducto rerun": "tests/local_runner/cache/test_files.py",
    "python orders.py": "tests/local_runner/events/test_local_events.py",
    "$ conducto pipeline.py --explain": "tests/sdk/programs/test_fork_server.py",
    "python pipeline.py --cloud": "tests/system/cloud/test_command_line.py",
    "conducto doctor --cloud": "it needs an AWS account",
    "conducto deploy": "it needs an AWS account",
    "python daily.py": "tests/local_runner/runner/test_partitions.py",
    "conducto partitions daily.py": "tests/local_runner/runner/test_partitions.py",
    "conducto backfill daily.py": "tests/sdk/partitions/test_backfills.py",
    "python report.py": "tests/system/docker/test_buckets.py",
    "python traced.py": "tests/local_runner/telemetry/test_traces.py",
    "conducto secrets set DB_PASSWORD --org": "tests/functions/secrets/test_sets.py",
    "conducto secrets set DB_PASSWORD --from aws-sm:prod/db#password --cloud": "tests/functions/"
    "secrets/test_references.py",
    'conducto schedule add nightly --cron "0 2 * * *" --zone UTC --script': "tests/"
    "sdk/programs/test_schedule_runner.py",
    "conducto tests acme/app": "tests/system/cloud/test_pull_request.py",
    "aws ": "it needs an AWS account",
    "python infra/": "it needs an AWS account",
    "for ": "it needs an AWS account",
    "source <(conducto completion zsh)": "tests/system/terminal/test_completion.py",
    "conducto completion fish": "tests/system/terminal/test_completion.py as fish may be missing",
}
SCRIPT = """
import conducto as co

def pipeline() -> co.Parallel:
    root = co.Parallel(title="Nightly build")
    root["tests"] = co.Parallel()
    root["tests/unit"] = co.Exec("echo ran; exit 1")
    root["lint"] = co.Exec("true")
    return root

co.main(default=pipeline)
"""
COMMANDS = commands()
EXECUTED = [(p, c) for p, c in COMMANDS if not c.startswith(tuple(NOT_HERE))]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    base = tmp_path_factory.mktemp("docs")
    (base / "pipeline.py").write_text(SCRIPT)
    with person_at(base) as person:
        launched = person.run(base / "pipeline.py", "--engine", "process")
        person.conducto("reset", launched.id, "/tests/unit", "--watch")
        yield Terminal(person, launched.id, "typed\n")


@pytest.mark.parametrize(("page", "command"), EXECUTED)
def test_command_of_a_page_works(page: str, command: str, terminal: Terminal) -> None:
    if command == "conducto agent repair":  # it needs an agent that has stopped
        command = "conducto agent stop && conducto agent repair"

    done = terminal.run(command)

    assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}"
    said = "no node was modified\n" if command.startswith("conducto patch") else ""
    assert done.stderr == said or "export" in command


def test_exceptions_are_needed_and_name_tests_that_exist() -> None:
    for start, reason in NOT_HERE.items():
        assert any(command.startswith(start) for _, command in COMMANDS), start
        assert not reason.startswith("tests/") or (ROOT / re.split("[ ,]", reason)[0]).is_file()


def _shown(page: str, start: str) -> str:
    found = blocks(DOCS / "concepts" / page)
    return next(text for _, text in found if text.startswith(start))


def test_document_has_the_keys_that_the_page_shows(terminal: Terminal) -> None:
    document = json.loads(terminal.run("conducto show ID --json").stdout)
    exec_node = next(node for node in document["nodes"] if node["attempts"])
    known = {*document, *exec_node, *exec_node["attempts"][0]}

    shown = set(re.findall(r'"(\w+)"', _shown("attempts-and-history.md", "{")))

    assert shown - known == set()


def test_files_are_where_the_page_shows_them(terminal: Terminal) -> None:
    shown = re.findall(r"default/[^\s,]+", _shown("local-runner-and-agent.md", "default/"))
    for path in shown:
        own = path.replace("default", terminal.person.profile).replace("ID", terminal.pipeline)
        assert (terminal.person.base / own).exists(), path
