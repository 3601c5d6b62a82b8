"""The account as boto3 knows it, against moto: the same questions as the fake answers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from conducto_cli.deploy.aws import BotoAccount
from conducto_cli.deploy.port import AccountError, S3Bucket, Subnet

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
REGION = "eu-west-1"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[BotoAccount]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield BotoAccount(REGION)


def client(service: str):
    return boto3.client(service, region_name=REGION)


def test_output_names_the_credentials_in_use(account: BotoAccount) -> None:
    assert account.caller().account == "123456789012"
    assert account.region == REGION


def test_parameter_is_read_or_missing(account: BotoAccount) -> None:
    client("ssm").put_parameter(Name="/a", Value="b", Type="String")

    assert account.parameter("/a") == "b"
    assert account.parameter("/none") is None


def test_stack_has_a_status_or_is_missing(account: BotoAccount) -> None:
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    client("cloudformation").create_stack(StackName="s", TemplateBody=json.dumps(template))

    assert account.stack_status("s") == "CREATE_COMPLETE"
    assert account.stack_status("none") is None


def test_a_stack_is_unprotected_deleted_and_waited_for(account: BotoAccount) -> None:
    with Stubber(account._client("cloudformation")) as stub:
        stub.add_response(
            "update_termination_protection",
            {},
            {"StackName": "s", "EnableTerminationProtection": False},
        )
        stub.add_response("delete_stack", {}, {"StackName": "s"})
        stub.add_client_error("describe_stacks", "ValidationError")

        account.delete_stack("s")

        stub.assert_no_pending_responses()


def test_a_table_is_empty_full_or_not_there_and_a_protected_one_is_deleted(
    account: BotoAccount,
) -> None:
    dynamodb = client("dynamodb")
    dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )

    assert account.table_is_empty("none") is None
    assert account.table_is_empty("t") is True
    dynamodb.put_item(TableName="t", Item={"pk": {"S": "x"}})
    assert account.table_is_empty("t") is False
    account.delete_table("t")
    assert account.table_is_empty("t") is None


def test_repositories_are_deleted_by_how_their_names_begin(account: BotoAccount) -> None:
    ecr = client("ecr")
    for name in ("conducto-main/images/0a", "conducto-main/quay.io/x", "conducto-main2/images/0a"):
        ecr.create_repository(repositoryName=name)

    assert account.delete_repositories("conducto-main/") == 2

    left = [each["repositoryName"] for each in ecr.describe_repositories()["repositories"]]
    assert left == ["conducto-main2/images/0a"]


def test_bucket_has_its_region_and_whether_it_keeps_versions(account: BotoAccount) -> None:
    s3 = client("s3")
    place = {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="acme", CreateBucketConfiguration=place)
    assert account.bucket("acme") == S3Bucket(REGION, versioned=False)
    s3.put_bucket_versioning(Bucket="acme", VersioningConfiguration={"Status": "Enabled"})
    assert account.bucket("acme") == S3Bucket(REGION, versioned=True)
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="acme-us")
    assert account.bucket("acme-us") == S3Bucket("us-east-1", versioned=False)
    assert account.bucket("none") is None


def test_queues_mappings_and_rules_of_triggers_are_deleted(account: BotoAccount) -> None:
    bus, sqs = client("events"), client("sqs")
    for name in ("conducto-main_event-1", "conducto-main-2_event-1"):
        bus.put_rule(Name=name, EventPattern="{}")
        bus.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": "arn:aws:lambda:::x"}])
    for name in ("conducto-main_queue-1", "conducto-main_queue-1-dead", "others"):
        sqs.create_queue(QueueName=name)
    names = "conducto-main_event-", "conducto-main_queue-", "conducto-main-hook-event"
    lambda_, mapping = account._client("lambda"), "0a1b2c3d-0000-0000-0000-0a1b2c3d4e5f"
    with Stubber(lambda_) as stub:
        wanted = {"FunctionName": names[2]}
        found = {"EventSourceMappings": [{"UUID": mapping}]}
        stub.add_response("list_event_source_mappings", found, wanted)
        stub.add_response("delete_event_source_mapping", {}, {"UUID": mapping})

        assert account.delete_events(*names) == 4

    assert [each["Name"] for each in bus.list_rules()["Rules"]] == ["conducto-main-2_event-1"]
    assert [each.rpartition("/")[2] for each in sqs.list_queues()["QueueUrls"]] == ["others"]
    with Stubber(lambda_) as stub:
        stub.add_client_error("list_event_source_mappings", "ResourceNotFoundException")
        assert account.delete_events(*names) == 0


def test_no_cluster_has_no_tasks(account: BotoAccount) -> None:
    assert account.running_tasks("none") == []


def test_the_quota_is_that_of_fargate(account: BotoAccount) -> None:
    quotas = account._client("service-quotas")
    with Stubber(quotas) as stub:
        stub.add_response(
            "get_service_quota",
            {"Quota": {"Value": 6.0}},
            {"ServiceCode": "fargate", "QuotaCode": "L-3032A538"},
        )
        assert account.quota("fargate", "L-3032A538") == 6.0


@pytest.mark.parametrize(
    ("code", "told", "remedy"),
    [
        ("ExpiredToken", "no AWS credentials that hold", "aws sso login"),
        ("AccessDeniedException", "servicequotas:GetServiceQuota is not allowed", "a role that"),
        ("Throttling", "servicequotas:GetServiceQuota: ", "message of AWS"),
    ],
)
def test_aws_errors_become_a_sentence_with_a_remedy(
    account: BotoAccount, code: str, told: str, remedy: str
) -> None:
    with Stubber(account._client("service-quotas")) as stub:
        stub.add_client_error("get_service_quota", code)
        with pytest.raises(AccountError) as error:
            account.quota("fargate", "L-3032A538")

    assert told in str(error.value)
    assert remedy in error.value.remedy


def test_first_failure_of_the_last_change_is_named(account: BotoAccount) -> None:
    def event(resource: str, status: str, reason: str = "", kind: str = "AWS::EFS::FileSystem"):
        return {
            "EventId": resource + status,
            "StackId": "s",
            "StackName": "s",
            "Timestamp": 0,
            "LogicalResourceId": resource,
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
        }

    newest_first = [
        event("Table", "CREATE_FAILED", "Resource creation cancelled"),
        event("Files", "CREATE_FAILED", "no such zone"),
        event("s", "CREATE_IN_PROGRESS", kind="AWS::CloudFormation::Stack"),
        event("Files", "CREATE_FAILED", "of the time before"),
    ]
    with Stubber(account._client("cloudformation")) as stub:
        stub.add_response("describe_stack_events", {"StackEvents": newest_first})
        assert account.first_failure("s") == "s: Files (AWS::EFS::FileSystem): no such zone"


def test_without_credentials_a_sentence_says_how_to_log_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(AccountError, match="no AWS credentials that hold") as error:
        BotoAccount(REGION).caller()

    assert "aws configure" in error.value.remedy


def test_zones_are_known_by_name_and_id(account: BotoAccount) -> None:
    zones = account.zones()

    assert zones[f"{REGION}a"].startswith("euw1-az")


def test_room_for_functions_includes_our_own_reservations(account: BotoAccount) -> None:
    client_of_lambda = account._client("lambda")
    with Stubber(client_of_lambda) as stub:
        limits = {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 700}
        stub.add_response("get_account_settings", {"AccountLimit": limits})
        stub.add_response("get_function_concurrency", {"ReservedConcurrentExecutions": 100})
        stub.add_response("get_function_concurrency", {})
        stub.add_client_error("get_function_concurrency", "ResourceNotFoundException")
        assert account.function_room(["ours", "unreserved", "absent"]) == 800


def test_zones_of_a_network_have_the_order_of_its_subnets(account: BotoAccount) -> None:
    def subnet(name: str, zone: str, number: int) -> dict[str, object]:
        tags = [{"Key": "aws:cloudformation:logical-id", "Value": f"VpcpublicSubnet{number}"}]
        return {"SubnetId": name, "AvailabilityZone": zone, "Tags": tags}

    found = [subnet("subnet-b", "eu-west-1a", 2), subnet("subnet-a", "eu-west-1c", 1)]
    filters = [{"Name": "tag:aws:cloudformation:stack-name", "Values": ["s"]}]
    with Stubber(account._client("ec2")) as stub:
        stub.add_response("describe_subnets", {"Subnets": found}, {"Filters": filters})
        assert account.stack_zones("s") == ["eu-west-1c", "eu-west-1a"]


def test_dns_attributes_that_are_off_are_named(account: BotoAccount) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert account.missing_dns(vpc) == ["enableDnsHostnames"]

    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})

    assert account.missing_dns(vpc) == []


def test_subnets_say_where_they_are_and_where_they_lead(account: BotoAccount) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    public, private, inner = (
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}b")[
            "Subnet"
        ]["SubnetId"]
        for n in range(3)
    )
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    nat = ec2.create_nat_gateway(SubnetId=public, ConnectivityType="private")["NatGateway"]
    targets = {
        public: {"GatewayId": gateway},
        private: {"NatGatewayId": nat["NatGatewayId"]},
    }
    for subnet, target in targets.items():
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **target)

    found = {each.id: each for each in account.subnets([public, private, inner, "subnet-0"])}

    assert found == {
        public: Subnet(public, vpc, f"{REGION}b", gateway),
        private: Subnet(private, vpc, f"{REGION}b", nat["NatGatewayId"]),
        inner: Subnet(inner, vpc, f"{REGION}b", None),
    }


def test_role_says_which_services_it_trusts(account: BotoAccount) -> None:
    statements = [
        {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}},
        {"Effect": "Allow", "Principal": {"AWS": "123456789012"}},
        {"Effect": "Deny", "Principal": {"Service": ["ec2.amazonaws.com"]}},
    ]
    document = {
        "Version": "2012-10-17",
        "Statement": [{**each, "Action": "sts:AssumeRole"} for each in statements],
    }
    trust = json.dumps(document)
    client("iam").create_role(RoleName="r", Path="/team/", AssumeRolePolicyDocument=trust)

    assert account.trusted_services("r") == ["ecs-tasks.amazonaws.com"]
    assert account.trusted_services("none") is None
