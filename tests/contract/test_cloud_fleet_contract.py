"""Workers: on paper, and as tasks of ECS."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from tests.fakes.cloud import FakeFleet

from chalicelib.aws.clients import Tags
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.data.aws import EfsAccessPoints, S3AccessPoints
from chalicelib.errors import CapacityError, ThrottledError
from chalicelib.run.aws import WorkerCredentials
from chalicelib.workers.aws.buckets import BucketMounts
from chalicelib.workers.aws.ecs import Ecs, Place, task_end, task_owner
from chalicelib.workers.aws.task_definitions import Roles, TaskDefinitions
from chalicelib.workers.port import TaskEnd, TaskStatus, WorkerFleet, WorkerTask
from conducto.errors import DefinitionError
from conducto_core.asl.rules.naming import Site
from conducto_core.buckets.rules import read_buckets
from conducto_core.command.task_layout import ENTER, user_entry
from conducto_core.errors import RefusedError
from conducto_core.installation.names import made_prefix
from conducto_core.machines.rules import read_machines
from conducto_core.people.task_roles import TaskRole
from conducto_core.workers.rules.start_failures import StartFailure, failure_of
from support.cloud.aws import CLUSTER, REGION, TABLE, aws, file_system, role, subnet_and_group
from support.cloud.throttle import throttled
from support.iam_data import problems_of_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients

PREFIX = made_prefix("test")
PROGRAM = "github.com/acme/app:nightly.py"
TASK = WorkerTask("w1", "acme", "abc", "conducto-1", "python:3.11", 1.0, 2.0, "cdo_secret", "ann")
ONE_CONTAINER: Any = {"containerDefinitions": [{"name": "user", "image": "x", "memory": 8}]}


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


@pytest.fixture
def ecs(clients: Clients) -> Ecs:
    subnet, group = subnet_and_group(clients)
    files = EfsAccessPoints(clients, DynamoTable(clients, TABLE), file_system(clients), "test")
    roles = Roles(
        role("execution"),
        role("task"),
        "agent:1",
        "/workers",
        REGION,
        debug=role("debug"),
        arm_agent_image="agent:1-arm64",
        named=(
            TaskRole("team", None, role("team")),
            TaskRole("team", PROGRAM, role("nightly")),
        ),
        buckets=BucketMounts(
            Site(REGION, "123456789012", stage="test"),
            read_buckets("acme=s3://acme/raw,acme=s3://out:rw,team=s3://acme/raw"),
            f"fs-{'0' * 17}/fsap-{'1' * 17},fs-{'2' * 17}/fsap-{'3' * 17}",
        ),
    )
    return Ecs(
        clients,
        TaskDefinitions(clients, files, roles, PREFIX),
        Place(CLUSTER, (subnet,), group, stage="dev"),
        lambda: "https://api.invalid/api",
        Tags("test"),
    )


@pytest.fixture(params=["fake", "aws"])
def fleet(request: pytest.FixtureRequest) -> WorkerFleet:
    if request.param == "fake":
        return FakeFleet()
    made: WorkerFleet = request.getfixturevalue("ecs")
    return made


def test_a_worker_that_was_started_runs_until_it_is_stopped(fleet: WorkerFleet) -> None:
    assert fleet.running("abc") == {}

    first = fleet.start(TASK)
    second = fleet.start(replace(TASK, worker_id="w2"))
    fleet.start(replace(TASK, worker_id="w3", pipeline_id="xyz"))
    assert fleet.running("abc") == {"w1": first, "w2": second}

    fleet.stop(first, "the pipeline sleeps")
    fleet.stop(first, "the pipeline sleeps")
    assert fleet.running("abc") == {"w2": second}


def test_the_look_of_a_task_says_how_it_is(fleet: WorkerFleet) -> None:
    arn = fleet.start(TASK)
    look = fleet.task_status(arn)
    assert look is not None
    assert look.status != "STOPPED"
    assert not look.connected

    fleet.stop(arn, "the pipeline sleeps")
    look = fleet.task_status(arn)
    assert look is not None
    assert look.status == "STOPPED"
    assert fleet.task_status(arn.rpartition("/")[0] + "/0123456789abcdef0123456789abcdef") is None


@pytest.mark.parametrize(
    ("agents", "connected"),
    [
        ([], False),
        ([{"name": "ExecuteCommandAgent", "lastStatus": "PENDING"}], False),
        ([{"name": "ExecuteCommandAgent", "lastStatus": "RUNNING"}], True),
    ],
)
def test_a_shell_can_be_entered_once_ecs_has_its_agent_there(
    ecs: Ecs, clients: Clients, agents: list[dict[str, str]], *, connected: bool
) -> None:
    user = {"name": "user", "managedAgents": agents, "reason": "OutOfMemoryError"}
    task = {"lastStatus": "RUNNING", "containers": [{"name": "agent"}, user]}
    with Stubber(clients.get("ecs")) as stub:
        stub.add_response("describe_tasks", {"tasks": [task]})
        assert ecs.task_status("arn:t") == TaskStatus("RUNNING", "OutOfMemoryError", connected)


def test_a_session_is_opened_in_the_users_container(ecs: Ecs, clients: Clients) -> None:
    arn = f"arn:aws:ecs:{REGION}:123456789012:task/{CLUSTER}/t1"
    session = {"sessionId": "s-1", "streamUrl": "wss://aws.invalid", "tokenValue": "key"}
    with Stubber(clients.get("ecs")) as stub:
        stub.add_response(
            "execute_command",
            {"session": session},
            {
                "cluster": CLUSTER,
                "task": arn,
                "container": "user",
                "interactive": True,
                "command": ENTER,
            },
        )
        there = {"containers": [{"name": "user", "runtimeId": "t1-77"}]}
        stub.add_response("describe_tasks", {"tasks": [there]})
        found = ecs.enter(arn, ENTER)

    assert found is not None
    assert (found.session_id, found.token.get_secret_value()) == ("s-1", "key")
    assert found.target == f"ecs:{CLUSTER}_t1_t1-77"
    assert found.region == REGION


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("TargetNotConnectedException", "The execute command failed due to an internal error."),
        ("InvalidParameterException", "... or the execute command agent isn't running. Wait"),
    ],
)
def test_shell_agent_that_is_not_ready_is_not_an_error(
    ecs: Ecs, clients: Clients, code: str, message: str
) -> None:
    with Stubber(clients.get("ecs")) as stub:
        stub.add_client_error("execute_command", code, message)
        assert ecs.enter("arn:t", ENTER) is None


def test_a_way_in_that_is_refused_for_another_reason_is_an_error(
    ecs: Ecs, clients: Clients
) -> None:
    with Stubber(clients.get("ecs")) as stub:
        stub.add_client_error("execute_command", "AccessDeniedException", "not authorized")
        with pytest.raises(Exception, match="not authorized"):
            ecs.enter("arn:t", ENTER)


def test_only_a_shell_can_be_entered_and_only_it_has_the_role_for_that(
    ecs: Ecs, clients: Clients
) -> None:
    sent: list[dict[str, Any]] = []
    clients.get("ecs").meta.events.register(
        "provide-client-params.ecs.RunTask", lambda params, **_: sent.append(params)
    )
    plain = definition_of(clients, ecs.start(TASK))
    shell = definition_of(clients, ecs.start(replace(TASK, worker_id="s1", shell=True)))

    assert [each["enableExecuteCommand"] for each in sent] == [False, True]
    assert plain["taskRoleArn"] == role("task")
    assert shell["taskRoleArn"] == role("debug")
    same = {"containerDefinitions", "volumes", "cpu", "memory"}
    assert {k: plain[k] for k in same} == {k: shell[k] for k in same}


def test_commands_get_the_role_that_is_named_for_their_pipeline(ecs: Ecs, clients: Clients) -> None:
    def role_and_entry(**changes: Any) -> tuple[str, bool]:
        definition = definition_of(clients, ecs.start(replace(TASK, **changes)))
        entry = definition["containerDefinitions"][1]["entryPoint"]
        assert entry in (user_entry(), user_entry(credentials=True))
        return definition["taskRoleArn"], entry == user_entry(credentials=True)

    assert role_and_entry(org="team", worker_id="n1") == (role("team"), True)
    nightly = role_and_entry(org="team", program=PROGRAM, worker_id="n2")
    assert nightly == (role("nightly"), True)
    assert role_and_entry(program=PROGRAM, worker_id="n3") == (
        role("task"),
        False,
    )
    shell = role_and_entry(org="team", shell=True, worker_id="n4")
    assert shell == (role("debug"), False)


def test_workers_in_private_subnets_get_no_public_address(ecs: Ecs, clients: Clients) -> None:
    sent: list[dict[str, Any]] = []
    clients.get("ecs").meta.events.register(
        "provide-client-params.ecs.RunTask", lambda params, **_: sent.append(params)
    )
    ecs.start(TASK)
    ecs._place = replace(ecs._place, public_ip=False)
    ecs.start(replace(TASK, worker_id="w2"))

    networks = [each["networkConfiguration"]["awsvpcConfiguration"] for each in sent]
    assert [each["assignPublicIp"] for each in networks] == ["ENABLED", "DISABLED"]


def test_stopping_a_task_that_ecs_forgot_is_not_an_error(ecs: Ecs, clients: Clients) -> None:
    with Stubber(clients.get("ecs")) as stub:
        sentence = "The referenced task was not found."
        stub.add_client_error("stop_task", "InvalidParameterException", sentence)
        ecs.stop(f"arn:aws:ecs:{REGION}:123456789012:task/{CLUSTER}/nope", "x")


def definition_of(clients: Clients, arn: str) -> dict[str, Any]:
    task = clients.get("ecs").describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
    known = clients.get("ecs").describe_task_definition(taskDefinition=task["taskDefinitionArn"])
    found: dict[str, Any] = known["taskDefinition"]
    return found


def test_task_has_tags_for_cost_reports(ecs: Ecs, clients: Clients) -> None:
    arn = ecs.start(replace(TASK, org="Acme & Söhne"))

    (task,) = clients.get("ecs").describe_tasks(cluster=CLUSTER, tasks=[arn], include=["TAGS"])[
        "tasks"
    ]
    assert {tag["key"]: tag["value"] for tag in task["tags"]} == {
        "conducto:stage": "test",
        "conducto:org": "Acme _ Söhne",
        "conducto:pipeline": TASK.pipeline_id,
    }


def test_a_task_has_an_agent_and_the_users_image_over_a_shared_volume(
    ecs: Ecs, clients: Clients
) -> None:
    definition = definition_of(clients, ecs.start(TASK))
    agent, user = definition["containerDefinitions"]

    assert (definition["cpu"], definition["memory"]) == ("1024", "3072")
    assert (definition["taskRoleArn"], definition["executionRoleArn"]) == (
        role("task"),
        role("execution"),
    )
    assert [(c["name"], c["image"]) for c in (agent, user)] == [
        ("agent", "agent:1"),
        ("user", "python:3.11"),
    ]
    assert (user["entryPoint"], user["command"]) == (user_entry(), [])
    assert agent["essential"]
    assert user["essential"]
    assert user["memory"] == 2048  # the command's own limit, below which the agent has room
    assert "memory" not in agent
    assert not agent.get("dependsOn")
    assert not user.get("dependsOn")
    assert [m["containerPath"] for m in agent["mountPoints"]] == ["/ctl"]
    assert {m["containerPath"] for m in user["mountPoints"]} == {
        "/ctl",
        "/conducto/data/pipeline",
        "/conducto/data/user",
    }


def test_cached_commands_have_empty_read_only_data(ecs: Ecs, clients: Clients) -> None:
    made = definition_of(clients, ecs.start(replace(TASK, data="none")))
    assert not any("efsVolumeConfiguration" in volume for volume in made["volumes"])
    _, user = made["containerDefinitions"]
    mounts = {m["containerPath"]: m.get("readOnly", False) for m in user["mountPoints"]}
    assert mounts == {"/ctl": False, "/conducto/data/pipeline": True, "/conducto/data/user": True}


def test_cached_commands_with_files_have_a_view(ecs: Ecs, clients: Clients) -> None:
    made = definition_of(clients, ecs.start(replace(TASK, data="view")))
    remote = [each["name"] for each in made["volumes"] if "efsVolumeConfiguration" in each]
    assert remote == ["pipeline"]
    agent, user = (
        {m["containerPath"]: (m["sourceVolume"], m.get("readOnly", False)) for m in mounts}
        for mounts in (each["mountPoints"] for each in made["containerDefinitions"])
    )
    assert agent == {
        "/ctl": ("ctl", False),
        "/conducto/pipeline": ("pipeline", False),
        "/conducto/view": ("view", False),
    }
    assert user == {
        "/ctl": ("ctl", False),
        "/conducto/data/pipeline": ("view", False),
        "/conducto/.data/pipeline": ("pipeline", True),
        "/conducto/data/user": ("user", True),
    }


def test_data_in_s3_is_mounted_by_access_points_of_s3_files(clients: Clients) -> None:
    site, table = Site(REGION, "123456789012", stage="test"), DynamoTable(clients, TABLE)
    system, point = f"fs-{'0' * 17}", f"fsap-{'1' * 17}"
    files = S3AccessPoints(site, clients, table, system)
    with Stubber(clients.get("s3files")) as stub:
        stub.add_response(
            "create_access_point",
            {
                "accessPointArn": f"arn:aws:s3files:{REGION}:123456789012:file-system/{system}"
                f"/access-point/{point}",
                "accessPointId": point,
                "clientToken": "token",
                "fileSystemId": system,
                "status": "creating",
                "ownerId": "123456789012",
            },
            {
                "clientToken": ANY,
                "fileSystemId": system,
                "tags": [{"key": "conducto:stage", "value": "test"}],
                "posixUser": {"uid": 0, "gid": 0},
                "rootDirectory": {
                    "path": "/pipelines/abc",
                    "creationPermissions": {"ownerUid": 0, "ownerGid": 0, "permissions": "0755"},
                },
            },
        )
        assert files.of_pipeline("abc") == files.of_pipeline("abc") == point

        stub.add_response("delete_access_point", {}, {"accessPointId": point})
        files.forget_pipeline("abc")
        files.forget_pipeline("abc")

    arn = f"arn:aws:s3files:{REGION}:123456789012:file-system/{system}"
    assert files.volume("pipeline", point) == {
        "name": "pipeline",
        "s3filesVolumeConfiguration": {
            "fileSystemArn": arn,
            "accessPointArn": f"{arn}/access-point/{point}",
        },
    }


RAW = {"/data/raw": {"url": "s3://acme/raw", "mode": "ro"}}


def test_buckets_are_mounted_by_their_access_points_with_a_role_of_the_organisation(
    ecs: Ecs, clients: Clients
) -> None:
    buckets = {**RAW, "/out": {"url": "s3://out", "mode": "rw"}}
    made = definition_of(clients, ecs.start(replace(TASK, buckets=buckets)))

    files = {each["name"]: each.get("s3filesVolumeConfiguration") for each in made["volumes"]}
    arn = f"arn:aws:s3files:{REGION}:123456789012:file-system/fs-{'0' * 17}"
    assert files["bucket0"] == {
        "fileSystemArn": arn,
        "accessPointArn": f"{arn}/access-point/fsap-{'1' * 17}",
    }
    agent, user = made["containerDefinitions"]
    mounts = {
        m["containerPath"]: (m["sourceVolume"], m.get("readOnly")) for m in user["mountPoints"]
    }
    assert (mounts["/data/raw"], mounts["/out"]) == (("bucket0", True), ("bucket1", None))
    assert not any("bucket" in each["sourceVolume"] for each in agent["mountPoints"])
    assert made["taskRoleArn"].endswith(f":role/conducto-test-{REGION}-buckets-822b33ad")
    assert made["taskRoleArn"] in ecs._definitions.roles.of_tasks()


def test_a_role_for_commands_mounts_buckets_itself(ecs: Ecs, clients: Clients) -> None:
    team = replace(TASK, org="team", buckets=RAW)
    assert definition_of(clients, ecs.start(team))["taskRoleArn"] == role("team")


def test_shells_mount_buckets_as_their_commands(ecs: Ecs, clients: Clients) -> None:
    task = replace(TASK, buckets=RAW, shell=True)
    made = definition_of(clients, ecs.start(task))
    mounts = made["containerDefinitions"][1]["mountPoints"]
    assert [m.get("readOnly") for m in mounts if m["containerPath"] == "/data/raw"] == [True]
    assert "-bucket-shell-" in made["taskRoleArn"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"org": "other"}, "is not registered for other"),
        ({"named_role": False}, "a pull request from a fork gets no buckets"),
        ({"buckets": {"/x": {"url": "s3://acme/raw", "mode": "rw"}}}, "registered as read-only"),
    ],
)
def test_no_worker_mounts_a_bucket_of_others(
    ecs: Ecs, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RefusedError, match=reason):
        ecs.start(replace(TASK, **{"buckets": RAW, **changes}))


def test_a_pipelines_data_is_mounted_by_its_own_access_point(ecs: Ecs, clients: Clients) -> None:
    def points(**changes: Any) -> dict[str, str]:
        volumes = definition_of(clients, ecs.start(replace(TASK, **changes)))["volumes"]
        found = {}
        for volume in volumes:
            settings = volume.get("efsVolumeConfiguration")
            if settings is not None:
                assert settings["transitEncryption"] == "ENABLED"
                assert settings["authorizationConfig"]["iam"] == "ENABLED"
                found[volume["name"]] = settings["authorizationConfig"]["accessPointId"]
        return found

    first = points()
    other_pipeline = points(worker_id="w2", pipeline_id="xyz")
    other_user = points(worker_id="w3", user="bob")
    other_org = points(worker_id="w4", org="other")

    assert other_pipeline["pipeline"] != first["pipeline"]
    assert other_pipeline["user"] == first["user"]
    assert other_user["pipeline"] == first["pipeline"]
    assert len({first["user"], other_user["user"], other_org["user"]}) == 3


def test_a_definition_is_registered_once_for_the_same_workers(ecs: Ecs, clients: Clients) -> None:
    with throttled(clients.get("ecs"), "RegisterTaskDefinition", after=2):
        for number, image in enumerate(["a", "b", "a", "b"]):
            ecs.start(replace(TASK, worker_id=f"w{number}", image=image))
        # Another process finds it as well.
        fresh = Ecs(
            clients,
            TaskDefinitions(clients, ecs._definitions._files, ecs._definitions._roles, PREFIX),
            ecs._place,
            ecs._api_url,
            ecs._tags,
        )
        fresh.start(replace(TASK, worker_id="w9", image="a"))


def test_the_workers_token_is_seen_by_the_agent_alone(ecs: Ecs, clients: Clients) -> None:
    arn = ecs.start(TASK)

    task = clients.get("ecs").describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
    overrides = task["overrides"]["containerOverrides"]
    assert [o["name"] for o in overrides] == ["agent"]
    assert {e["name"]: e["value"] for e in overrides[0]["environment"]} == {
        "CONDUCTO_API_URL": "https://api.invalid/api",
        "CONDUCTO_WORKER_TOKEN": "cdo_secret",
        "CONDUCTO_PIPELINE_ID": "abc",
        "CONDUCTO_WORKER_ID": "w1",
    }
    assert "cdo_secret" not in str(definition_of(clients, arn))
    assert "cdo_secret" not in repr(TASK)


def test_ecs_reports_the_owner_of_a_task(ecs: Ecs, clients: Clients) -> None:
    arn = ecs.start(TASK)

    task = clients.get("ecs").describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]
    assert task_owner(task) == ("acme", "abc", "w1")


@pytest.mark.parametrize(
    "task",
    [{}, {"group": "family:x", "startedBy": "abc"}, {"group": "conducto:acme:w1"}, {"group": "x"}],
)
def test_foreign_task_has_no_owner(task: dict[str, str]) -> None:
    assert task_owner(task) is None


def test_starting_a_worker_again_is_the_same_request_to_ecs(ecs: Ecs, clients: Clients) -> None:
    """ECS carries one token out once; moto does not, so the requests themselves are compared."""
    sent: list[dict[str, Any]] = []

    def look(params: dict[str, Any], **_more: Any) -> None:
        sent.append(params)

    clients.get("ecs").meta.events.register("provide-client-params.ecs.RunTask", look)
    ecs.start(TASK)
    ecs.start(TASK)

    assert sent[0] == sent[1]
    assert sent[0]["clientToken"] == "w1"
    assert sent[0]["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"
    assert [p["capacityProvider"] for p in sent[0]["capacityProviderStrategy"]] == ["FARGATE"]


def test_worker_that_was_started_with_another_token_is_found(ecs: Ecs, clients: Clients) -> None:
    """ECS names the task that the client token started; moto ignores client tokens."""
    first = ecs.start(TASK)

    def reject(**_more: Any) -> None:
        told = {"Error": {"Code": "ConflictException", "Message": "the token is in use"}}
        raise ClientError({**told, "resourceIds": [first]}, "RunTask")  # type: ignore[typeddict-item]

    clients.get("ecs").meta.events.register("before-call.ecs.RunTask", reject)
    assert ecs.start(replace(TASK, token="another")) == first


@pytest.mark.parametrize(
    "reason",
    ["Capacity is unavailable at this time. Please try again later", "RESOURCE:CPU", "AGENT"],
)
def test_capacity_error_quotes_the_reason_from_aws(ecs: Ecs, clients: Clients, reason: str) -> None:
    ecs._definitions.ensure(TASK)
    with Stubber(clients.get("ecs")) as stub:
        stub.add_response("run_task", {"tasks": [], "failures": [{"reason": reason}]})
        with pytest.raises(CapacityError, match=reason) as refused:
            ecs.start(TASK)
    assert failure_of(str(refused.value)) is StartFailure.CAPACITY  # as the pool reads it


def test_an_account_at_its_quota_has_no_room(ecs: Ecs, clients: Clients) -> None:
    ecs._definitions.ensure(TASK)
    sentence = "You've reached the limit on the number of vCPUs you can run concurrently"
    with Stubber(clients.get("ecs")) as stub:
        stub.add_client_error("run_task", "ClientException", sentence)
        with pytest.raises(CapacityError, match="limit on the number of vCPUs"):
            ecs.start(TASK)


@pytest.mark.parametrize("operation", ["RunTask", "RegisterTaskDefinition"])
def test_throttled_fleet_raises_throttled_error(ecs: Ecs, clients: Clients, operation: str) -> None:
    with (
        throttled(clients.get("ecs"), operation, code="ThrottlingException"),
        pytest.raises(ThrottledError),
    ):
        ecs.start(TASK)


def test_other_ecs_errors_have_their_own_type(ecs: Ecs, clients: Clients) -> None:
    ecs._definitions.ensure(TASK)
    with Stubber(clients.get("ecs")) as stub:
        stub.add_response("run_task", {"tasks": [], "failures": [{"reason": "MISSING"}]})
        with pytest.raises(RuntimeError, match="MISSING"):
            ecs.start(TASK)


def test_a_size_that_fargate_has_not_is_refused(ecs: Ecs) -> None:
    with pytest.raises(DefinitionError, match="more than Fargate has"):
        ecs.start(replace(TASK, cpu=64.0))


def test_an_agent_is_lent_a_role_for_its_own_activity(clients: Clients) -> None:
    asked: list[dict[str, Any]] = []

    def look(params: dict[str, Any], **_more: Any) -> None:
        asked.append(params)

    clients.get("sts").meta.events.register("provide-client-params.sts.AssumeRole", look)
    activity = f"arn:aws:states:{REGION}:123456789012:activity:conducto-1"

    lent = WorkerCredentials(clients, role("poll")).lend_credentials(activity, "w1")

    statements = json.loads(asked[0]["Policy"])["Statement"]
    assert {s["Action"]: s["Resource"] for s in statements} == {
        "states:GetActivityTask": activity,
        "states:SendTaskHeartbeat": "*",
    }
    assert asked[0]["RoleSessionName"] == "w1"
    assert lent.expires is not None
    assert lent.session_token is not None
    assert lent.session_token not in repr(lent)
    assert problems_of_policy(asked[0]["Policy"]) == []


def test_an_access_point_that_another_process_made_is_used(clients: Clients) -> None:
    files = EfsAccessPoints(clients, DynamoTable(clients, TABLE), file_system(clients), "test")
    with Stubber(clients.get("efs")) as stub:
        stub.add_client_error(
            "create_access_point",
            "AccessPointAlreadyExists",
            "there is one",
            modeled_fields={"AccessPointId": "fsap-1", "ErrorCode": "AccessPointAlreadyExists"},
        )
        assert files.of_pipeline("abc") == "fsap-1"
    assert files.of_pipeline("abc") == "fsap-1"


def test_the_access_point_of_a_pipeline_that_goes_is_deleted(clients: Clients) -> None:
    files = EfsAccessPoints(clients, DynamoTable(clients, TABLE), file_system(clients), "test")
    point = files.of_pipeline("abc")

    files.forget_pipeline("abc")
    files.forget_pipeline("abc")

    known = clients.get("efs").describe_access_points(FileSystemId=files.file_system)
    assert [p["AccessPointId"] for p in known["AccessPoints"]] == []
    again = files.of_pipeline("abc")
    assert again != point
    assert files.of_pipeline("abc") == again


def test_a_new_access_point_is_asked_for_by_another_token(clients: Clients) -> None:
    files = EfsAccessPoints(clients, DynamoTable(clients, TABLE), file_system(clients), "test")
    tokens = []
    efs = clients.get("efs")
    efs.meta.events.register(
        "provide-client-params.efs.CreateAccessPoint",
        lambda params, **_: tokens.append(params["ClientToken"]),
    )
    for _ in range(3):
        files.of_pipeline("abc")
        files.forget_pipeline("abc")

    assert len(set(tokens)) == 3


def test_the_definitions_of_a_pipeline_can_be_found_and_deleted(fleet: WorkerFleet) -> None:
    fleet.start(TASK)
    fleet.start(replace(TASK, worker_id="w2", pipeline_id="xyz"))
    known = dict(fleet.definitions())

    assert set(known) == {"abc", "xyz"}
    assert fleet.forget_definition(known["abc"])
    assert not fleet.forget_definition(known["abc"])
    assert fleet.forget_definition(known["xyz"])


def test_deleted_task_definition_is_recreated_by_the_next_worker(
    ecs: Ecs, clients: Clients
) -> None:
    ecs.start(TASK)
    ((_, family),) = ecs.definitions()
    assert ecs.forget_definition(family)

    with Stubber(clients.get("ecs")) as stub:  # moto runs deleted definitions; ECS does not
        stub.add_client_error("run_task", "ClientException", "TaskDefinition is inactive")
        stub.add_response(
            "describe_task_definition",
            {"taskDefinition": {"status": "INACTIVE", "taskDefinitionArn": "old"}},
        )
        stub.add_response(
            "register_task_definition", {"taskDefinition": {"taskDefinitionArn": "new"}}
        )
        stub.add_response("run_task", {"tasks": [{"taskArn": "task"}]})
        assert ecs.start(replace(TASK, worker_id="w2")) == "task"


def take_out(fleet: WorkerFleet, clients: Clients, family: str) -> None:
    """Do the first half of what deletes a task definition, as a process that then died."""
    if isinstance(fleet, FakeFleet):
        fleet.halfway.add(family)
        return
    for arn in revisions(clients, family, "ACTIVE"):
        clients.get("ecs").deregister_task_definition(taskDefinition=arn)


def revisions(clients: Clients, family: str, status: str) -> list[str]:
    response = clients.get("ecs").list_task_definitions(familyPrefix=family, status=status)
    found: list[str] = response["taskDefinitionArns"]
    return found


def test_a_definition_that_was_deleted_by_half_is_found_and_deleted(
    fleet: WorkerFleet, clients: Clients
) -> None:
    fleet.start(TASK)
    family = dict(fleet.definitions())["abc"]
    take_out(fleet, clients, family)

    assert dict(fleet.definitions())["abc"] == family
    assert fleet.forget_definition(family)
    assert not fleet.forget_definition(family)
    assert revisions(clients, family, "INACTIVE") == []


def test_all_revisions_of_a_family_are_deleted_however_many_there_are(
    ecs: Ecs, clients: Clients
) -> None:
    family = f"{PREFIX}abc_1"
    for number in range(24):
        made = clients.get("ecs").register_task_definition(family=family, **ONE_CONTAINER)
        if number % 2:
            arn = made["taskDefinition"]["taskDefinitionArn"]
            clients.get("ecs").deregister_task_definition(taskDefinition=arn)

    assert ecs.forget_definition(family)
    assert [revisions(clients, family, each) for each in ("ACTIVE", "INACTIVE")] == [[], []]


def test_definitions_of_every_status_are_asked_for(ecs: Ecs, clients: Clients) -> None:
    """Moto lists them all, whatever it is asked for."""
    with Stubber(clients.get("ecs")) as stub:
        stub.add_response(
            "list_task_definition_families",
            {"families": [f"{PREFIX}abc_1"]},
            {"familyPrefix": PREFIX, "status": "ALL"},
        )
        assert list(ecs.definitions()) == [("abc", f"{PREFIX}abc_1")]


def test_a_definition_that_ecs_keeps_is_an_error(ecs: Ecs, clients: Clients) -> None:
    with Stubber(clients.get("ecs")) as stub:
        stub.add_response("list_task_definitions", {"taskDefinitionArns": []})
        stub.add_response("list_task_definitions", {"taskDefinitionArns": ["arn:d"]})
        failures = [{"arn": "arn:d", "reason": "it is used"}]
        stub.add_response("delete_task_definitions", {"failures": failures})
        with pytest.raises(RuntimeError, match="arn:d: it is used"):
            ecs.forget_definition(f"{PREFIX}abc_1")


@pytest.mark.parametrize("prefix", ["conducto-", "conducto-test-2_", "conducto-tes_"])
def test_definitions_of_another_stage_are_not_listed(
    ecs: Ecs, clients: Clients, prefix: str
) -> None:
    clients.get("ecs").register_task_definition(family=f"{prefix}abc-def_1", **ONE_CONTAINER)

    assert list(ecs.definitions()) == []


def test_access_point_is_tagged_with_its_stage(ecs: Ecs, clients: Clients) -> None:
    ecs.start(TASK)

    found = clients.get("efs").describe_access_points()["AccessPoints"]
    assert found
    for each in found:
        assert {"Key": "conducto:stage", "Value": "test"} in each["Tags"]


def test_end_of_a_task_has_the_words_and_the_times_of_an_event() -> None:
    event = {
        "stoppedReason": "Essential container in task exited",
        "pullStartedAt": "2026-11-27T10:00:00.500Z",
        "startedAt": "2026-11-27T10:00:20Z",
        "stoppedAt": "2026-11-27T10:01:00Z",
        "containers": [
            {"name": "agent", "exitCode": 0},
            {"name": "user", "exitCode": 255, "reason": "exec format error"},
        ],
    }

    end = task_end(event)

    assert end.reason == "Essential container in task exited; exec format error"
    assert (end.exit_code, end.oom) == (255, False)
    assert end.began is not None
    assert end.ended is not None
    assert end.ended - end.began == 59.5
    assert task_end({"stoppedAt": 5.0}) == TaskEnd("its task stopped", ended=5.0)
    assert failure_of(end.reason) is StartFailure.BAD_IMAGE


@pytest.mark.parametrize(
    ("arch", "platform", "agent"),
    [
        ("arm64", {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}, "agent:1-arm64"),
        ("x86_64", None, "agent:1"),
        ("", None, "agent:1"),
    ],
)
def test_a_worker_on_arm_has_its_platform_and_its_agent(
    ecs: Ecs, clients: Clients, arch: str, platform: dict[str, str] | None, agent: str
) -> None:
    api = clients.get("ecs")
    (task,) = api.describe_tasks(cluster=CLUSTER, tasks=[ecs.start(replace(TASK, arch=arch))])[
        "tasks"
    ]

    found = api.describe_task_definition(taskDefinition=task["taskDefinitionArn"])["taskDefinition"]

    assert found.get("runtimePlatform") == platform
    assert {each["name"]: each["image"] for each in found["containerDefinitions"]}["agent"] == agent


GPU_CLASS = read_machines("gpu=g6.xlarge:spot,ondemand")["gpu"]


@pytest.mark.parametrize(
    ("spot", "provider"),
    [(False, "conducto-dev_gpu_ondemand"), (True, "conducto-dev_gpu_spot")],
)
def test_a_worker_of_a_machine_class_has_its_provider_gpus_and_size(
    ecs: Ecs, clients: Clients, spot: bool, provider: str
) -> None:
    task = replace(TASK, machine=GPU_CLASS, gpu=1, spot=spot)
    sent: list[dict[str, Any]] = []
    api = clients.get("ecs")
    events = api.meta.events
    events.register(
        "before-parameter-build.ecs.RunTask", lambda params, **_: sent.append(dict(params))
    )
    # moto runs tasks on Fargate, or on instances that were registered.
    response = SimpleNamespace(status_code=200), {"tasks": [{"taskArn": "t"}], "failures": []}
    events.register("before-call.ecs.RunTask", lambda **_: response)

    ecs.start(task)

    (order,) = sent
    assert order["capacityProviderStrategy"] == [{"capacityProvider": provider, "weight": 1}]
    assert "assignPublicIp" not in order["networkConfiguration"]["awsvpcConfiguration"]
    found = api.describe_task_definition(taskDefinition=order["taskDefinition"])["taskDefinition"]
    assert found["requiresCompatibilities"] == ["MANAGED_INSTANCES"]
    assert found["cpu"] == "4096"
    assert int(found["memory"]) == round(16 * 0.9 * 1024)
    containers = {each["name"]: each for each in found["containerDefinitions"]}
    gpus = [{"type": "GPU", "value": "1"}]
    assert containers["user"]["resourceRequirements"] == gpus
    assert not containers["agent"].get("resourceRequirements")
