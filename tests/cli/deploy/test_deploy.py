"""`conducto deploy` and `destroy` on a simulated account and machine."""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from tests.fakes.deployment import FakeAccount, FakeMachine

from conducto.errors import UsageError
from conducto.version import __version__
from conducto_cli.app.parser import build_parser
from conducto_cli.deploy.command import run as deploy
from conducto_cli.deploy.deployment import Deployment, Wish, version_order
from conducto_cli.deploy.destroy_command import run as destroy
from conducto_cli.deploy.port import AccountError, Cdk, S3Bucket, Subnet
from conducto_cli.target.account import SignedInAccount, account_of, save_login
from conducto_core.installation.model import TokenInfo
from conducto_core.installation.names import LAYOUT, STACKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ADDRESSES = '{"api": "https://a.example/api", "socket": "https://s.example/api"}'
DEPLOY = ["cdk", "deploy", "--all", "--require-approval", "never"]


@pytest.fixture(autouse=True)
def _base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))


class Place:
    """An account, a machine, and the printed output."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.account = FakeAccount()
        self.machine = FakeMachine(self.run_cdk)
        self.exit_code = 0
        self._capsys = capsys

    def deploy(self, *words: str) -> int:
        arguments = build_parser().parse_args(["deploy", "--user", "ann", *words])
        return self._told(deploy(arguments, self.account, self.machine))

    def destroy(self, *words: str) -> int:
        arguments = build_parser().parse_args(["destroy", *words])
        return self._told(destroy(arguments, self.account))

    def _told(self, code: int) -> int:
        printed = self._capsys.readouterr()
        self.out, self.err = printed.out, printed.err
        return code

    def run_cdk(self, words: Sequence[str]) -> int:
        if "deploy" in words and self.exit_code == 0:
            context = self.machine.projects[-1]["context"]
            stage = context["stage"]
            kept = {k: v for k, v in context.items() if "@" not in k and k != "stage"}
            self.account.parameters[f"/conducto/{stage}/addresses"] = ADDRESSES
            self.account.parameters[f"/conducto/{stage}/settings"] = json.dumps(kept)
            for name in STACKS:
                self.account.stacks[f"conducto-{stage}-{name}"] = "CREATE_COMPLETE"
        return self.exit_code


def token_info(token: str) -> TokenInfo:
    """Return how an installation lists a token."""
    digest = sha256(token.encode()).hexdigest()
    return TokenInfo(id=digest[:16], user="ann", permissions=(), created=0)


@pytest.fixture
def place(capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(capsys)


def test_a_first_deployment_ends_with_a_token_shown_once_and_in_no_command_line(
    place: Place,
) -> None:
    assert place.deploy() == 0

    assert place.machine.runs == [DEPLOY]
    assert "  cdo_first\n" in place.out
    assert "conducto login --url https://a.example/api\n" in place.out
    assert place.account.requests[-1] == {
        "function": "conducto-main-admin",
        "kind": "mint_token",
        "org": "main",
        "user": "ann",
        "permissions": place.account.requests[-1]["permissions"],
        "days": None,
    }


def test_with_a_yes_the_profile_is_logged_in_and_the_token_is_not_shown(place: Place) -> None:
    assert place.deploy("--yes") == 0

    account = account_of()
    assert account is not None
    assert (account.url, account.token) == ("https://a.example/api", "cdo_first")
    assert "cdo_first" not in place.out + place.err
    assert "logged in as ann of main (profile default)" in place.out


def test_destroy_without_a_region_says_how_to_name_one(place: Place) -> None:
    place.account.region = None

    assert place.destroy("--yes") == 1

    assert "no AWS region is configured" in place.err
    assert "--region" in place.err
    assert place.account.done == []


def test_a_second_deployment_makes_no_token(place: Place) -> None:
    place.deploy()

    assert place.deploy() == 0

    assert "cdo_first" not in place.out
    assert "log in with a token that you have" in place.out
    assert [r["kind"] for r in place.account.requests].count("mint_token") == 1


def test_cdk_runs_the_stacks_with_this_python_in_the_chosen_region(place: Place) -> None:
    place.deploy("--stage", "prod", "-c", "spot_share=5")

    (project,) = place.machine.projects
    assert "infra/main.py" in project["app"]
    assert project["context"]["stage"] == "prod"
    assert project["context"]["spot_share"] == "5"
    assert "@aws-cdk/aws-iam:minimizePolicies" in project["context"]
    assert place.machine.environments[0]["AWS_REGION"] == "eu-west-1"


def test_earlier_settings_are_kept_and_printed(place: Place) -> None:
    place.deploy("-c", "alarm_email=a@example.org", "-c", "log_days=7")

    place.deploy("-c", "log_days=14")

    context = place.machine.projects[-1]["context"]
    assert (context["alarm_email"], context["log_days"]) == ("a@example.org", "14")
    assert (
        "kept from the last deployment: alarm_email=a@example.org, zone=eu-west-1a\n" in place.out
    )


@pytest.mark.parametrize(("word", "old"), [("zones=2", "1"), ("vpc_id=vpc-1", "not set")])
def test_a_setting_that_would_leave_data_behind_is_refused(
    place: Place, word: str, old: str
) -> None:
    place.deploy()

    assert place.deploy("-c", word) == 1

    assert f"{word.partition('=')[0]} was {old} when stage 'main' was made" in place.err
    assert place.machine.runs == [DEPLOY]


def test_setting_with_its_current_value_changes_nothing(place: Place) -> None:
    place.deploy()

    assert place.deploy("-c", "zones=1", "-c", "vpc_id=") == 0


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("spot-share=3", "-c spot-share=3: there is no setting 'spot-share'"),
        ("zones", "-c zones: a setting is written NAME=VALUE"),
    ],
)
def test_unknown_setting_is_a_usage_error(
    word: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from conducto_cli.main import main

    assert main(["deploy", "-c", word]) == 2
    assert told in capsys.readouterr().err


# ---- obstacles --------------------------------------------------------------------------------


def test_without_credentials_nothing_is_done_and_the_rest_is_not_asked(place: Place) -> None:
    place.account.refusals["caller"] = AccountError("no AWS credentials that hold", "log in")

    assert place.deploy() == 1

    assert "fail  credentials    no AWS credentials that hold\n" in place.out
    assert "skip  fargate quota" in place.out
    assert place.machine.runs == []


def test_without_a_region_nothing_is_done(place: Place) -> None:
    place.account.region = None

    assert place.deploy() == 1

    assert "say --region, or set AWS_REGION" in place.out


@pytest.mark.parametrize(
    ("version", "told"),
    [("20.20.2", "20.20.2 is too old"), (None, "Node is not installed")],
)
def test_old_or_missing_nodejs_is_reported(place: Place, version: str | None, told: str) -> None:
    place.machine.node_version = version

    assert place.deploy() == 1

    assert f"node           {told}" in place.out
    assert "install Node 22 or later" in place.out
    assert "npm install --global node@22" in place.out
    assert place.machine.runs == []


def test_missing_tools_are_named_with_their_installation(place: Place) -> None:
    place.machine.missing = ["aws-cdk-lib", "chalice"]
    place.machine.cdk_words = None
    place.machine.docker_version = None
    place.machine.python_version = (3, 99)

    assert place.deploy() == 1

    for told in (
        "not installed: aws-cdk-lib, chalice",
        "pip install 'conducto-pipelines[deploy]'",
        "npm install --global aws-cdk",
        "3.99, which Lambda does not have",
    ):
        assert told in place.out


def test_a_region_without_quota_is_refused_and_says_how_to_get_more(place: Place) -> None:
    place.account.cpus = 0

    assert place.deploy() == 1

    assert "0 vCPUs may run in eu-west-1: no worker could start" in place.out
    assert "--quota-code L-3032A538" in place.out


def test_small_quota_is_a_warning(place: Place) -> None:
    place.account.cpus = 2

    assert place.deploy() == 0

    assert "only 2 vCPUs may run at once" in place.out


def test_python_of_an_old_runtime_is_a_warning(place: Place) -> None:
    place.machine.python_version = (3, 11)

    assert place.deploy() == 0

    assert "warn  python         3.11; the functions will run on it too, in Lambda on" in place.out
    assert "install Conducto with Python 3.13" in place.out


def test_new_account_deploys_with_a_warning_for_each_small_quota(place: Place) -> None:
    place.account.functions, place.account.cpus, place.account.builds = 10, 6, 0

    assert place.deploy("-c", "identity=cognito") == 0

    assert "only 10 functions may run at once, as in a new account" in place.out
    assert "https://console.aws.amazon.com/servicequotas/home/services/lambda/quotas/" in place.out
    assert "ok    fargate quota  6 vCPUs at once" in place.out  # 24 workers
    assert "Cognito sends 50 messages a day" in place.out
    assert "-c ses_identity=" in place.out


def test_a_check_that_may_not_be_made_warns_and_does_not_stop(place: Place) -> None:
    denied = AccountError("not allowed", "use another role", is_denied=True)
    for name in ("fargate quota", "codebuild quota", "function_room", "trusted_services"):
        place.account.refusals[name] = denied

    assert place.deploy("-c", f"task_roles=main={ROLE}") == 0

    for name in ("fargate quota  ", "build quota    ", "lambda quota   ", "task role      "):
        assert f"warn  {name}not allowed\n" in place.out
    assert "use another role" in place.out


def test_a_check_that_fails_otherwise_is_in_the_way(place: Place) -> None:
    place.account.refusals["fargate quota"] = AccountError("AWS cannot be reached", "network?")

    assert place.deploy() == 1

    assert "fail  fargate quota  AWS cannot be reached\n" in place.out


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("eu-north-1", "eu-north-1 has no AWS::Budgets::Budget: nobody is notified of spending"),
        ("ca-west-1", "ca-west-1 has no CodeBuild: the installation builds no images"),
        ("us-gov-west-1", "us-gov-west-1 has no CloudFront, which serves the web app"),
    ],
)
def test_missing_parts_of_a_region_are_named_before_anything_is_created(
    place: Place, region: str, told: str
) -> None:
    place.account.region = region

    assert place.deploy() == 0

    assert told in place.out
    assert place.out.index(told) < place.out.index("cdk deploy")


def test_settings_that_a_region_cannot_have_are_refused(place: Place) -> None:
    place.account.region = "us-gov-west-1"

    assert place.deploy("-c", "identity=cognito") == 1

    assert "identity=cognito needs the web app, which us-gov-west-1 cannot have" in place.out
    assert place.machine.runs == []


def test_small_quotas_of_builds_and_spot_are_warnings(place: Place) -> None:
    place.account.builds = 0
    place.account.cpus = 2

    assert place.deploy("-c", "spot_share=3") == 0

    assert "no image build may run" in place.out
    assert "--service-code codebuild --quota-code L-9D07B6EF" in place.out
    assert "only 2 Spot vCPUs may run at once" in place.out
    assert "--quota-code L-36FBB829" in place.out


def test_without_bootstrap_it_is_offered_and_without_a_yes_nothing_is_done(place: Place) -> None:
    place.account.parameters.clear()

    assert place.deploy() == 1

    assert "first: cdk bootstrap aws://123456789012/eu-west-1" in place.err
    assert place.machine.runs == []


def test_with_a_yes_bootstrap_comes_first(place: Place) -> None:
    place.account.parameters.clear()
    place.machine.cdk_words = Cdk(("npx", "--yes", "aws-cdk@2"), "by npx")

    assert place.deploy("--yes") == 0

    npx = ["npx", "--yes", "aws-cdk@2"]
    assert place.machine.runs == [
        [*npx, "bootstrap", "aws://123456789012/eu-west-1"],
        [*npx, *DEPLOY[1:]],
    ]


def test_a_bootstrap_that_fails_ends_it(place: Place) -> None:
    place.account.parameters.clear()
    place.exit_code = 3

    assert place.deploy("--yes") == 1

    assert "'cdk bootstrap' failed with exit code 3" in place.err
    assert place.machine.runs == [["cdk", "bootstrap", "aws://123456789012/eu-west-1"]]


# ---- half-failed ------------------------------------------------------------------------------


def test_failed_deployment_names_the_first_failure(place: Place) -> None:
    place.exit_code = 1
    place.account.failures["conducto-main-data"] = "conducto-main-data: Files (AWS::EFS): no"

    assert place.deploy() == 1

    assert "'cdk deploy' failed with exit code 1\n  conducto-main-data: Files" in place.err
    assert "run the same command again" in place.err
    assert place.account.requests == []


def test_second_deployment_cleans_up_after_a_failed_one(place: Place) -> None:
    place.account.stacks = {
        "conducto-main-network": "CREATE_COMPLETE",
        "conducto-main-data": "ROLLBACK_COMPLETE",
    }
    place.account.tables = {"conducto-main": True}

    assert place.deploy() == 0

    assert place.account.done == ["delete stack conducto-main-data", "delete table conducto-main"]
    assert place.machine.runs == [DEPLOY]


def test_a_table_with_records_that_no_stack_owns_is_never_deleted(place: Place) -> None:
    place.account.tables = {"conducto-main": False}

    assert place.deploy() == 1

    assert "the table conducto-main holds records, and no stack owns it" in place.err
    assert place.account.done == []
    assert place.machine.runs == []


def test_the_table_of_a_running_installation_is_left_alone(place: Place) -> None:
    place.deploy()
    place.account.tables = {"conducto-main": True}

    assert place.deploy() == 0

    assert place.account.done == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("UPDATE_IN_PROGRESS", "wait until the other deployment has ended"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name conducto-main-api"),
        ("DELETE_FAILED", "describe-stack-events --stack-name conducto-main-api"),
    ],
)
def test_stack_with_an_update_in_progress_is_reported(place: Place, status: str, told: str) -> None:
    place.account.stacks = {"conducto-main-api": status}

    assert place.deploy() == 1

    assert told in place.out
    assert place.machine.runs == []


def test_older_version_never_replaces_a_newer_one_even_with_yes(place: Place) -> None:
    place.deploy()
    place.account.version = "7.1.0"

    for words in ((), ("--yes",)):
        assert place.deploy(*words) == 1
        assert (
            "nothing was deployed: stage 'main' runs Conducto 7.1.0, this is Conducto "
            f"{__version__}; pip install --upgrade 'conducto-pipelines[deploy]' and deploy that"
        ) in place.err
        assert "say --downgrade" in place.err
    assert place.machine.runs == [DEPLOY]


def test_older_version_replaces_a_newer_one_with_downgrade(place: Place) -> None:
    place.deploy()
    place.account.version = "7.1.0"

    assert place.deploy("--downgrade") == 0

    assert "runs Conducto 7.1.0" in place.out
    assert "records of a newer schema are refused" in place.out
    assert place.machine.runs == [DEPLOY, DEPLOY]


@pytest.mark.parametrize("layout", [None, 1, LAYOUT + 1])
def test_a_table_of_another_layout_is_refused_before_anything_is_changed(
    place: Place, layout: int | None
) -> None:
    place.deploy()
    place.account.version, place.account.layout = __version__, layout
    place.account.done.clear()

    for words in ((), ("--yes",), ("--downgrade",)):
        assert place.deploy(*words) == 1
        assert f"the table of stage 'main' has the layout {layout or 1}" in place.err
        assert f"deploy a new stage with: conducto deploy --stage main-{LAYOUT}" in place.err
    assert place.machine.runs == [DEPLOY]
    assert place.account.done == []


@pytest.mark.parametrize("version", [None, __version__, "0.9.1", "unknown"])
def test_an_installation_that_is_not_newer_is_upgraded(place: Place, version: str | None) -> None:
    place.deploy()
    place.account.version = version

    assert place.deploy("--yes") == 0

    assert "runs Conducto" not in place.out


VERSIONS = ["0.1.28", "1.0.0.dev1", "1.0.0a1", "1.0.0b1", "1.0.0rc1", "1.0.0rc2", "1.0.0rc10"]
VERSIONS += ["1.0.0", "1.0.1", "1.2.0", "1.10.0", "2"]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(VERSIONS)))
def test_versions_are_older_and_newer_as_python_has_them(older: str, newer: str) -> None:
    assert version_order(older) < version_order(newer)


@pytest.mark.parametrize("name", ["1.0", "1.0.0", "1", "1.0.0.0"])
def test_a_version_may_be_written_with_more_or_fewer_noughts(name: str) -> None:
    assert version_order(name) == version_order("1.0.0")


def test_broken_admin_function_does_not_block_deployment(place: Place) -> None:
    place.deploy()
    place.account.refusals["invoke"] = AccountError("it timed out", "see its log")
    place.deploy()

    assert place.machine.runs == [DEPLOY, DEPLOY]


def test_admin_function_error_is_reported(place: Place) -> None:
    place.account.tokens = [TokenInfo(id="0" * 16, user="bob", permissions=(), created=0)]

    assert place.deploy() == 0

    assert "conducto admin mint-token --stage main --org main --user NAME" in place.out


# ---- destroy ----------------------------------------------------------------------------------


def test_destroy_keeps_and_lists_resources_with_data(place: Place) -> None:
    place.deploy()

    assert place.destroy("--yes") == 0

    assert place.account.done == [
        f"delete stack conducto-main-{name}" for name in ("site", "watch", "api", "compute")
    ]
    assert "table conducto-main, a bucket, a file system" in place.out
    assert "conducto/main/*" in place.out


def test_destroy_removes_images_which_can_be_built_again(place: Place) -> None:
    place.account.stacks = {f"conducto-main-{name}": "CREATE_COMPLETE" for name in STACKS}
    ours = ["conducto-main/images/0a", "conducto-main/quay.io/a/b"]
    theirs = ["conducto-main2/images/0a", "conducto-mine/images/0a", "something"]
    place.account.repositories = [*ours, *theirs]

    assert place.destroy("--yes") == 0

    assert place.account.repositories == theirs
    assert "removed 2 repositories of images" in place.out


def test_destroy_removes_queues_and_rules_of_triggers_before_their_function(place: Place) -> None:
    place.deploy()
    ours = ["conducto-main_event-1", "conducto-main_queue-1", "conducto-main-hook-event"]
    place.account.events = [*ours, "others"]

    assert place.destroy("--yes") == 0

    assert place.account.events == ["others"]
    assert "removed 3 queues, mappings and rules of triggers" in place.out
    events = [done for done in place.account.done if done.startswith("delete events")]
    assert len(events) == 3
    assert place.account.done.index(events[-1]) < place.account.done.index(
        "delete stack conducto-main-api"
    )


def test_destroy_asks_first(place: Place) -> None:
    place.deploy()

    with pytest.raises(UsageError, match="repeat it with --yes"):
        place.destroy()

    assert place.account.done == []


def test_destroy_does_not_stop_commands_by_default(place: Place) -> None:
    place.deploy()
    place.account.tasks = ["task/1"]

    assert place.destroy("--yes") == 1
    assert "1 workers run in conducto-main" in place.err
    assert place.account.done == []

    assert place.destroy("--yes", "--stop-workers") == 0
    assert place.account.done[0] == "stop task/1 of conducto-main"


def test_destroy_of_missing_installation_is_reported(place: Place) -> None:
    assert place.destroy("--stage", "other", "--yes") == 1

    assert "stage 'other' is not deployed in eu-west-1" in place.err


def test_a_profile_with_a_token_of_the_installation_gets_its_new_url(place: Place) -> None:
    place.deploy("--yes")
    place.account.tokens = [token_info("cdo_first")]
    save_login(SignedInAccount("https://old.example/api", "cdo_first", "main", "ann"), "default")

    assert place.deploy("--yes") == 0

    account = account_of()
    assert account is not None
    assert (account.url, account.token) == ("https://a.example/api", "cdo_first")
    assert "logged in as ann of main (profile default)" in place.out


def test_a_profile_of_another_installation_is_left_alone(place: Place) -> None:
    place.deploy("--yes")
    place.account.tokens = [token_info("cdo_another")]
    save_login(SignedInAccount("https://old.example/api", "cdo_first", "main", "ann"), "default")

    assert place.deploy("--yes") == 0

    account = account_of()
    assert account is not None
    assert account.url == "https://old.example/api"
    assert "log in with a token that you have" in place.out


def test_the_role_of_ecs_is_created_before_the_stacks(place: Place) -> None:
    assert place.deploy() == 0

    assert place.account.service_roles == ["ecs.amazonaws.com"]


def test_missing_permission_for_ecs_role_does_not_block_deployment(place: Place) -> None:
    place.account.refusals["create_service_role"] = AccountError("iam is not allowed", "ask")

    assert place.deploy() == 0

    assert "aws iam create-service-linked-role" in place.out


def test_a_new_account_with_few_functions_is_warned(place: Place) -> None:
    place.account.functions = 10

    assert place.deploy() == 0

    assert "only 10 functions may run at once, as in a new account" in place.out
    assert "services/lambda/quotas/L-B99A9384" in place.out


def test_quota_without_room_to_reserve_is_warned(place: Place) -> None:
    place.account.functions = 300

    assert place.deploy() == 0

    assert "only 300 functions may run at once, too few to reserve some for signing" in place.out


@pytest.mark.parametrize("missing", [("site",), ("watch", "site")])
def test_first_token_needs_neither_web_app_nor_alarms(
    place: Place, missing: tuple[str, ...]
) -> None:
    stack = f"conducto-main-{missing[0]}"

    def cdk(words: Sequence[str]) -> int:
        place.run_cdk(words)
        for name in missing:
            del place.account.stacks[f"conducto-main-{name}"]
        place.account.stacks[stack] = "ROLLBACK_COMPLETE"
        place.account.failures[stack] = "Your account must be verified"
        return 1

    place.machine = FakeMachine(cdk)

    assert place.deploy() == 1

    assert "cdo_first" in place.out
    names = ", ".join(f"conducto-main-{name}" for name in missing)
    assert f"not deployed: {names}: 'cdk deploy' failed" in place.err
    assert "Your account must be verified" in place.err


def test_without_the_api_there_is_no_token(place: Place) -> None:
    def cdk(words: Sequence[str]) -> int:
        place.run_cdk(words)
        place.account.stacks["conducto-main-compute"] = "UPDATE_ROLLBACK_COMPLETE"
        return 1

    place.machine = FakeMachine(cdk)

    assert place.deploy() == 1

    assert place.account.requests == []


def test_deploying_again_after_destroy_finds_the_data(place: Place) -> None:
    place.deploy()
    place.account.tables = {"conducto-main": False}
    place.destroy("--yes")
    place.account.done.clear()

    assert place.deploy() == 0

    assert place.account.done == []


def test_without_a_container_engine_codebuild_builds_the_agent_from_then_on(place: Place) -> None:
    place.machine.docker_version = None

    assert place.deploy("--yes") == 0

    assert "warn  docker         no container engine responds" in place.out
    assert place.machine.projects[-1]["context"]["agent_build"] == "codebuild"
    place.machine.docker_version = "29.1.0"
    assert place.deploy("--yes") == 0
    assert place.machine.projects[-1]["context"]["agent_build"] == "codebuild"


@pytest.mark.parametrize(
    ("region", "words", "told"),
    [
        ("eu-west-1", ("-c", "agent_build=docker"), "agent_build=docker"),
        ("ca-west-1", (), "ca-west-1 lacks it"),
    ],
)
def test_without_an_engine_and_codebuild_nothing_is_deployed(
    place: Place, region: str, words: tuple[str, ...], told: str
) -> None:
    place.account.region = region
    place.machine.docker_version = None

    assert place.deploy("--yes", *words) == 1

    assert "no container engine responds, and CodeBuild is not used" in place.err
    assert told in place.err
    assert place.machine.runs == []
    assert place.machine.runs == []


@pytest.mark.parametrize("failed", STACKS)
def test_deployment_that_failed_at_a_stack_continues(place: Place, failed: str) -> None:
    done = STACKS[: STACKS.index(failed)]

    def cdk(words: Sequence[str]) -> int:
        if len(place.machine.runs) > 1:
            return place.run_cdk(words)
        place.run_cdk(words)
        place.account.stacks = {f"conducto-main-{name}": "CREATE_COMPLETE" for name in done}
        place.account.stacks[f"conducto-main-{failed}"] = "ROLLBACK_COMPLETE"
        place.account.failures[f"conducto-main-{failed}"] = f"conducto-main-{failed}: no room"
        if "data" not in done:  # these parameters are in the stacks
            del place.account.parameters["/conducto/main/settings"]
        if failed == "data":
            place.account.tables = {"conducto-main": True}
        return 1

    place.machine = FakeMachine(cdk)
    assert place.deploy() == 1
    assert f"conducto-main-{failed}: no room" in place.err

    assert place.deploy() == 0

    removed = ["delete table conducto-main"] if failed == "data" else []
    assert place.account.done == [f"delete stack conducto-main-{failed}", *removed]
    assert place.machine.runs == [DEPLOY, DEPLOY]
    assert [each["kind"] for each in place.account.requests].count("mint_token") == 1


@pytest.mark.parametrize("failed", STACKS)
def test_update_that_failed_at_a_stack_is_repeated_as_it_is(place: Place, failed: str) -> None:
    place.deploy()
    place.account.stacks[f"conducto-main-{failed}"] = "UPDATE_ROLLBACK_COMPLETE"

    assert place.deploy() == 0

    assert place.account.done == []


def test_network_of_a_failed_first_deployment_is_replaced_for_another_zone(place: Place) -> None:
    place.account.stacks = {
        "conducto-main-network": "CREATE_COMPLETE",
        "conducto-main-data": "ROLLBACK_COMPLETE",
    }

    assert place.deploy("-c", "zone=eu-west-1b") == 0

    assert place.account.done == [
        "delete stack conducto-main-data",
        "delete stack conducto-main-network",
    ]


# ---- what settings name -----------------------------------------------------------------------

ROLE = "arn:aws:iam::123456789012:role/reports"
VPC = ("-c", "vpc_id=vpc-1", "-c", "vpc_subnets=subnet-1", "-c", "vpc_zones=eu-west-1a")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-c", "zone=eu-west-1a"), "eu-west-1a (use1-az3) does not offer"),
        (("-c", "zone=eu-west-1z"), "eu-west-1 has no zone 'eu-west-1z' for this account"),
        (("-c", "zones=2"), "zones=2 needs 2 zones, found eu-west-1b"),
    ],
)
def test_zone_that_does_not_work_is_refused(
    place: Place, words: tuple[str, ...], told: str
) -> None:
    place.account.zone_ids["eu-west-1a"] = "use1-az3"

    assert place.deploy(*words) == 1

    assert f"fail  zone           {told}" in place.out
    assert "-c zone=NAME (with zones=2 two names) of: eu-west-1b\n" in place.out
    assert place.machine.runs == []


def test_zone_that_works_is_used(place: Place) -> None:
    place.account.zone_ids["eu-west-1a"] = "use1-az3"

    assert place.deploy("-c", "zone=eu-west-1b") == 0

    assert "ok    zone           eu-west-1b\n" in place.out
    assert place.machine.projects[-1]["context"]["zone"] == "eu-west-1b"


def test_first_usable_zone_is_chosen_and_pinned(place: Place) -> None:
    place.account.zone_ids["eu-west-1a"] = "use1-az3"

    assert place.deploy() == 0

    assert place.machine.projects[-1]["context"]["zone"] == "eu-west-1b"


def test_zone_is_not_checked_where_it_cannot_change(place: Place) -> None:
    place.deploy()
    place.account.refusals["zones"] = AccountError("not allowed", "ask")

    assert place.deploy() == 0
    assert place.deploy("-c", "zone=eu-west-1b") == 1
    assert "zone was eu-west-1a when stage 'main' was made" in place.err


def test_installation_without_a_pinned_zone_keeps_that_of_its_network(place: Place) -> None:
    place.deploy()
    place.account.parameters["/conducto/main/settings"] = '{"zones": "2"}'
    place.account.network_zones = ["eu-west-1b", "eu-west-1a"]
    place.account.zone_ids = {"eu-west-1a": "euw1-az1", "eu-west-1c": "euw1-az3"}

    assert place.deploy("-c", "zone=eu-west-1c,eu-west-1a") == 1
    assert "zone was eu-west-1b,eu-west-1a when stage 'main' was made" in place.err
    assert place.deploy() == 0

    assert place.machine.projects[-1]["context"]["zone"] == "eu-west-1b,eu-west-1a"


def test_network_that_resolves_no_names_is_refused(place: Place) -> None:
    place.account.networks = [Subnet("subnet-1", "vpc-1", "eu-west-1a", "igw-1")]
    place.account.dns_off = ["enableDnsHostnames"]

    assert place.deploy(*VPC) == 1

    assert "vpc-1 has enableDnsHostnames turned off" in place.out
    assert "modify-vpc-attribute --vpc-id vpc-1 --enable-dns-hostnames" in place.out
    assert place.machine.runs == []


@pytest.mark.parametrize(
    ("subnet", "public", "told"),
    [
        (None, "true", "vpc_subnets: subnet-1 does not exist here"),
        (("vpc-2", "eu-west-1a", "igw-1"), "true", "subnet-1 is in vpc-2, not in vpc-1"),
        (("vpc-1", "eu-west-1b", "igw-1"), "true", "is in eu-west-1b, not in eu-west-1a"),
        (("vpc-1", "eu-west-1a", None), "false", "subnet-1 has no route to 0.0.0.0/0"),
        (("vpc-1", "eu-west-1a", "igw-1"), "false", "subnet-1 leads to an internet gateway"),
    ],
)
def test_subnet_in_which_workers_cannot_work_is_refused(
    place: Place, subnet: tuple[str, str, str | None] | None, public: str, told: str
) -> None:
    if subnet is not None:
        place.account.networks = [Subnet("subnet-1", *subnet)]

    assert place.deploy(*VPC, "-c", f"public_ip={public}") == 1

    assert told in place.out
    assert "fail  network" in place.out
    assert place.machine.runs == []


@pytest.mark.parametrize(
    ("target", "public", "status"),
    [("nat-1", "false", "ok"), ("igw-1", "true", "ok"), ("nat-1", "true", "warn")],
)
def test_subnet_with_a_way_out_is_used(place: Place, target: str, public: str, status: str) -> None:
    place.account.networks = [Subnet("subnet-1", "vpc-1", "eu-west-1a", target)]

    assert place.deploy(*VPC, "-c", f"public_ip={public}") == 0

    assert f"{status:<4}  network" in place.out


@pytest.mark.parametrize(
    ("setting", "trusted", "told"),
    [
        ("reports", None, "'reports': expected ORG=ARN or ORG/HOST/OWNER/NAME:PATH=ARN"),
        (
            f"main/every night={ROLE}",
            None,
            "'every night' is not a program: a title does not select a role any more",
        ),
        (f"main={ROLE},main={ROLE}", None, "main has two roles"),
        (f"main={ROLE}".replace("1234", "9999"), None, "is of account 999956789012"),
        (f"main={ROLE}", None, f"{ROLE} does not exist"),
        (f"main={ROLE}", "lambda.amazonaws.com", "does not trust ecs-tasks.amazonaws.com"),
        (f"main={ROLE[:-7]}conducto-main-eu-west-1-poll", None, "is a role of Conducto itself"),
    ],
)
def test_task_role_that_is_not_allowed_is_refused_before_anything_is_deployed(
    place: Place, setting: str, trusted: str | None, told: str
) -> None:
    if trusted is not None:
        place.account.roles["reports"] = [trusted]

    assert place.deploy("-c", f"task_roles={setting}") == 1

    assert told in place.out
    assert "nothing was deployed: fix the problems listed above" in place.err
    assert place.machine.runs == []


@pytest.mark.parametrize(
    ("setting", "found", "told"),
    [
        ("acme", None, "'acme': expected ORG=s3://BUCKET/PREFIX:ro"),
        ("main=s3://acme", None, "acme does not exist"),
        ("main=s3://acme", S3Bucket("us-west-2", versioned=True), "acme is in us-west-2, not in"),
        (
            "main=s3://acme/a,main=s3://acme/b",
            S3Bucket("eu-west-1", versioned=False),
            "aws s3api put-bucket-versioning --bucket acme",
        ),
    ],
)
def test_bucket_that_cannot_be_mounted_is_refused_before_anything_is_deployed(
    place: Place, setting: str, found: S3Bucket | None, told: str
) -> None:
    if found is not None:
        place.account.buckets["acme"] = found

    assert place.deploy("-c", f"buckets={setting}") == 1

    assert place.out.count(told) == 1
    assert place.machine.runs == []


def test_task_role_that_is_allowed_is_kept(place: Place) -> None:
    place.account.roles["reports"] = ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com"]

    roles = f"main={ROLE},main/github.com/acme/app:nightly.py={ROLE}"
    assert place.deploy("-c", f"task_roles={roles}") == 0
    assert place.out.count(f"ok    task role      {ROLE}\n") == 1

    del place.account.roles["reports"]
    assert place.deploy() == 1
    assert f"{ROLE} does not exist" in place.out


def test_role_that_cannot_be_read_stops_the_deployment_with_a_reason(place: Place) -> None:
    place.account.refusals["trusted_services"] = AccountError("AWS cannot be reached", "ask")

    assert place.deploy("-c", f"task_roles=main={ROLE}") == 1

    assert "fail  task role      AWS cannot be reached\n" in place.out


# ---- who is notified --------------------------------------------------------------------------

WISH = Wish(stage="main", settings={}, org="main", user="ann")


def answered(place: Place, *responses: str, settings: dict[str, str] | None = None) -> list[str]:
    """Deploy with a user who answers questions; return the printed output."""
    given, told = iter(responses), []
    wish = WISH if settings is None else Wish("main", settings, "main", "ann")

    def response(question: str) -> str:
        told.append(question)
        return next(given)

    Deployment(place.account, place.machine, lambda _: False, told.append, response).deploy(wish)
    return told


def test_first_deployment_asks_for_an_address_for_alarms(place: Place) -> None:
    told = answered(place, "nonsense", " ops@example.org ")

    assert "'nonsense' is not an e-mail address, such as ops@example.org" in told
    assert place.machine.projects[-1]["context"]["alarm_email"] == "ops@example.org"
    assert not [line for line in told if "nobody will be notified" in line]


def test_first_deployment_warns_about_missing_alarm_recipient(place: Place) -> None:
    told = answered(place, "")

    assert (
        "nobody will be notified of alarms or when the account spends $50 a month; name an address "
        "with -c alarm_email=ADDRESS"
    ) in told
    assert "alarm_email" not in place.machine.projects[-1]["context"]


@pytest.mark.parametrize("settings", [{"alarm_email": "a@example.org"}, {"alarm_email": ""}])
def test_address_that_is_given_or_declined_is_not_asked_for(
    place: Place, settings: dict[str, str]
) -> None:
    answered(place, settings=settings)


def test_later_deployment_only_mentions_missing_alarm_recipient(place: Place) -> None:
    answered(place, "")

    told = answered(place, settings={"monthly_budget": "off"})

    assert "nobody will be notified of alarms; name an address with -c alarm_email=ADDRESS" in told


def test_command_without_a_terminal_asks_nothing(place: Place) -> None:
    assert place.deploy() == 0

    assert "nobody will be notified of alarms" in place.out


def test_report_needs_a_file_that_can_be_written_before_anything_is_deployed(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "old.json").touch()

    with pytest.raises(UsageError, match=r"old.json: File exists; name another file"):
        place.deploy("--report", str(tmp_path / "old.json"))

    assert place.machine.runs == []


def test_report_needs_a_profile_that_is_logged_in_to_the_installation(
    place: Place, tmp_path: Path
) -> None:
    assert place.deploy("--report", str(tmp_path / "new.json")) == 1

    assert "no report: this profile is not logged in" in place.err
    assert not (tmp_path / "new.json").exists()


CLASSES = "gpu=g6.xlarge:spot,ondemand; big=r7i.16xlarge"


def test_machine_classes_need_quotas_which_are_checked_first(place: Place) -> None:
    place.account.networks = [Subnet("subnet-1", "vpc-1", "eu-west-1a", "nat-1")]
    place.account.ec2_cpus = {"L-DB2E81BA": 0.0, "L-3819A6DF": 8.0, "L-1216C47A": 64.0}

    assert place.deploy(*VPC, "-c", "public_ip=false", "-c", f"machines={CLASSES}") == 1

    assert (
        "fail  machine gpu    0 vCPUs of G and VT instances on demand at once, as in new accounts: "
        "no g6.xlarge (4 vCPUs) could start" in place.out
    )
    assert "--service-code ec2 --quota-code L-DB2E81BA --desired-value 16" in place.out
    assert "servicequotas/home/services/ec2/quotas/L-DB2E81BA" in place.out
    assert "8 vCPUs of G and VT instances on Spot at once, for 2 g6.xlarge" in place.out
    assert "64 vCPUs of standard instances on demand at once, for 1 r7i.16xlarge" in place.out
    assert place.machine.runs == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ((), "tasks on Managed Instances have no public address"),
        ((*VPC, "-c", "public_ip=false", "-c", "billing=true"), "organisations pay for vCPUs and"),
    ],
)
def test_machine_classes_that_cannot_work_are_refused(
    place: Place, settings: tuple[str, ...], told: str
) -> None:
    place.account.networks = [Subnet("subnet-1", "vpc-1", "eu-west-1a", "nat-1")]

    assert place.deploy(*settings, "-c", f"machines={CLASSES}") == 1

    assert told in place.out
    assert place.machine.runs == []


def test_unknown_instance_type_is_refused_with_the_nearest(place: Place) -> None:
    place.account.networks = [Subnet("subnet-1", "vpc-1", "eu-west-1a", "nat-1")]

    assert place.deploy(*VPC, "-c", "public_ip=false", "-c", "machines=gpu=g6.xlage") == 1

    assert "'g6.xlage' is not a known instance type; did you mean 'g6.xlarge'?" in place.out


def test_arm_class_needs_the_agent_for_arm(place: Place) -> None:
    place.account.networks = [Subnet("subnet-1", "vpc-1", "eu-west-1a", "nat-1")]
    words = (*VPC, "-c", "public_ip=false", "-c", "machines=arm=m7g.large")

    assert place.deploy(*words, "-c", "arm=false") == 1
    assert "but the agent's image is not built for ARM" in place.out
    assert place.deploy(*words, "-c", "arm=true") == 0
