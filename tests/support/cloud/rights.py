"""The AWS calls of an installation, compared with the permissions of its roles.

The emulator itself checks no permissions: a missing one would first be noticed in a real account.
`make test-deploy` checks its recorded calls against the same policies (`system.deploy.calls`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from conducto_core.installation.names import PARTITION_KEY, STAGE_TAG, Variables, function_name
from conducto_emulator.resources import ACCOUNT, REGION, STAGE
from support.iam_data import has_resources

Template = Mapping[str, Any]
#: The name of the app's functions in `Host.response`, unless they have their own.
_APP = "app"


class Asked(NamedTuple):
    """A permission that a call needs.

    Attributes:
        function: The function that makes the call, or its role's name.
        context: ``{condition key: values}`` of the call.
        policy: The session policy as JSON, which limits the permissions; None: no session policy.
    """

    function: str
    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = {}
    policy: str | None = None

    def __str__(self) -> str:
        return f"{self.function}: {self.action} on {self.resource} {dict(self.context) or ''}"


# ---- what a call asks for ----------------------------------------------------------------------

#: Stands for the stage of the installation that makes a call.
_OWN_STAGE = "{stage}"
_Params = Mapping[str, Any]
_Wish = tuple[str, str, Mapping[str, tuple[str, ...]]]


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def _simply(action: str, resource: Callable[[_Params], str]) -> Callable[[_Params], list[_Wish]]:
    return lambda params: [(action, resource(params), {})]


def _everything(action: str) -> Callable[[_Params], list[_Wish]]:
    return lambda _: [(action, "*", {})]


def _table(params: _Params) -> str:
    name = _arn("dynamodb", f"table/{params['TableName']}")
    return f"{name}/index/{params['IndexName']}" if "IndexName" in params else name


def _get_item(params: _Params) -> list[_Wish]:
    key = params["Key"][PARTITION_KEY]["S"]
    return [("dynamodb:GetItem", _table(params), {"dynamodb:LeadingKeys": (key,)})]


_WRITES = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def _transaction(params: _Params) -> list[_Wish]:
    return [
        (f"dynamodb:{_WRITES[kind]}", _table(each), {})
        for item in params["TransactItems"]
        for kind, each in item.items()
    ]


def _batch(action: str) -> Callable[[_Params], list[_Wish]]:
    return lambda params: [
        (action, _table({"TableName": name}), {}) for name in params["RequestItems"]
    ]


def _object(params: _Params) -> str:
    return f"arn:aws:s3:::{params['Bucket']}/{params['Key']}"


def _objects(params: _Params) -> list[_Wish]:
    keys = [each["Key"] for each in params["Delete"]["Objects"]]
    return [("s3:DeleteObject", _object({**params, "Key": key}), {}) for key in keys]


def _list_bucket(params: _Params) -> list[_Wish]:
    bucket = f"arn:aws:s3:::{params['Bucket']}"
    return [("s3:ListBucket", bucket, {"s3:prefix": (params.get("Prefix", ""),)})]


def _passing(role: str, service: str) -> _Wish:
    return ("iam:PassRole", role, {"iam:PassedToService": (f"{service}.amazonaws.com",)})


def _create_machine(params: _Params) -> list[_Wish]:
    machine = _arn("states", f"stateMachine:{params['name']}")
    tags: list[_Wish] = [("states:TagResource", machine, {})] if params.get("tags") else []
    passed = _passing(params["roleArn"], "states")
    return [("states:CreateStateMachine", machine, {}), passed, *tags]


def _create_activity(params: _Params) -> list[_Wish]:
    activity = _arn("states", f"activity:{params['name']}")
    tags: list[_Wish] = [("states:TagResource", activity, {})] if params.get("tags") else []
    return [("states:CreateActivity", activity, {}), *tags]


def _in_cluster(params: _Params) -> Mapping[str, tuple[str, ...]]:
    return {"ecs:cluster": (_cluster(params),)}


def _cluster(params: _Params) -> str:
    return _arn("ecs", f"cluster/{params['cluster'].rpartition('/')[2]}")


def _definition(name: str) -> str:
    name = name.rpartition("task-definition/")[2]
    return _arn("ecs", f"task-definition/{name if ':' in name else f'{name}:1'}")


def _run_task(params: _Params) -> list[_Wish]:
    definition = _definition(params["taskDefinition"])
    run: _Wish = ("ecs:RunTask", definition, _in_cluster(params))
    if not params.get("tags"):
        return [run]
    task = _arn("ecs", f"task/{params['cluster'].rpartition('/')[2]}/new")
    return [run, ("ecs:TagResource", task, {"ecs:CreateAction": ("RunTask",)})]


def _tasks(action: str, name: str) -> Callable[[_Params], list[_Wish]]:
    def wishes(params: _Params) -> list[_Wish]:
        value = params[name]
        arns = value if isinstance(value, list) else [value]
        return [(action, arn, _in_cluster(params)) for arn in arns]

    return wishes


def _register(params: _Params) -> list[_Wish]:
    roles = dict.fromkeys((params["executionRoleArn"], params["taskRoleArn"]))
    definition = _definition(params["family"])
    tags: list[_Wish] = [("ecs:TagResource", definition, {})] if params.get("tags") else []
    return [
        ("ecs:RegisterTaskDefinition", definition, {}),
        *(_passing(role, "ecs-tasks") for role in roles),
        *tags,
    ]


def _execute_command(params: _Params) -> list[_Wish]:
    context = {**_in_cluster(params), "ecs:container-name": (params["container"],)}
    return [
        ("ecs:ExecuteCommand", _cluster(params), context),
        ("ecs:ExecuteCommand", params["task"], context),
    ]


def _create_access_point(params: _Params) -> list[_Wish]:
    """Return the needs of tagged creation: AWS checks the tags with the creating action."""
    files = _arn("elasticfilesystem", f"file-system/{params['FileSystemId']}")
    point = _arn("elasticfilesystem", "access-point/fsap-new")
    told = {f"aws:RequestTag/{tag['Key']}": (tag["Value"],) for tag in params["Tags"]}
    told["elasticfilesystem:CreateAction"] = ("CreateAccessPoint",)
    return [
        ("elasticfilesystem:CreateAccessPoint", files, {}),
        ("elasticfilesystem:TagResource", point, told),
    ]


def _delete_access_point(params: _Params) -> list[_Wish]:
    """Return the needs of deletion: every access point has the installation's tag."""
    point = _arn("elasticfilesystem", f"access-point/{params['AccessPointId']}")
    tag = {f"aws:ResourceTag/{STAGE_TAG}": (_OWN_STAGE,)}
    return [("elasticfilesystem:DeleteAccessPoint", point, tag)]


def _secret(name: str) -> Callable[[_Params], str]:
    return lambda params: _arn("secretsmanager", f"secret:{params[name]}-AbCdEf")


def _repository(params: _Params) -> str:
    return _arn("ecr", f"repository/{params['repositoryName']}")


def _tagged(
    create: str, tag: str, resource: Callable[[_Params], str], tags: str
) -> Callable[[_Params], list[_Wish]]:
    def wishes(params: _Params) -> list[_Wish]:
        made = resource(params)
        tagging: list[_Wish] = [(tag, made, {})] if params.get(tags) else []
        return [(create, made, {}), *tagging]

    return wishes


def _builds(params: _Params) -> list[_Wish]:
    projects = dict.fromkeys(each.partition(":")[0] for each in params["ids"])
    return [("codebuild:BatchGetBuilds", _arn("codebuild", f"project/{p}"), {}) for p in projects]


#: ``{(boto3 service, operation): its needs}``.
def _rule(name: str) -> Callable[[_Params], str]:
    return lambda params: _arn("events", f"rule/{params[name]}")


def _mapping(action: str) -> Callable[[_Params], list[_Wish]]:
    function = _arn("lambda", f"function:{function_name(STAGE, 'hook_event')}")
    mapping = _arn("lambda", "event-source-mapping:new")
    return lambda _: [(action, mapping, {"lambda:FunctionArn": (function,)})]


def _queue(params: _Params) -> str:
    name = params.get("QueueName") or params["QueueUrl"].rpartition("/")[2]
    return _arn("sqs", name)


def _put_targets(params: _Params) -> list[_Wish]:
    targets = tuple(each["Arn"] for each in params["Targets"])
    return [("events:PutTargets", _rule("Rule")(params), {"events:TargetArn": targets})]


NEEDS: dict[tuple[str, str], Callable[[_Params], list[_Wish]]] = {
    ("apigatewaymanagementapi", "DeleteConnection"): _simply(
        "execute-api:ManageConnections",
        lambda params: _arn(
            "execute-api", f"WebsocketAPI/api/DELETE/@connections/{params['ConnectionId']}"
        ),
    ),
    ("apigatewaymanagementapi", "PostToConnection"): _simply(
        "execute-api:ManageConnections",
        lambda params: _arn(
            "execute-api", f"WebsocketAPI/api/POST/@connections/{params['ConnectionId']}"
        ),
    ),
    ("codebuild", "BatchGetBuilds"): _builds,
    ("codebuild", "StartBuild"): _simply(
        "codebuild:StartBuild", lambda params: _arn("codebuild", f"project/{params['projectName']}")
    ),
    ("dynamodb", "BatchGetItem"): _batch("dynamodb:BatchGetItem"),
    ("dynamodb", "BatchWriteItem"): _batch("dynamodb:BatchWriteItem"),
    ("dynamodb", "DeleteItem"): _simply("dynamodb:DeleteItem", _table),
    ("dynamodb", "GetItem"): _get_item,
    ("dynamodb", "PutItem"): _simply("dynamodb:PutItem", _table),
    ("dynamodb", "Query"): _simply("dynamodb:Query", _table),
    ("dynamodb", "TransactWriteItems"): _transaction,
    ("dynamodb", "UpdateItem"): _simply("dynamodb:UpdateItem", _table),
    ("ecr", "CreateRepository"): _tagged(
        "ecr:CreateRepository", "ecr:TagResource", _repository, "tags"
    ),
    ("ecr", "DescribeImages"): _simply("ecr:DescribeImages", _repository),
    ("ecr", "GetAuthorizationToken"): _everything("ecr:GetAuthorizationToken"),
    ("ecr", "PutLifecyclePolicy"): _simply("ecr:PutLifecyclePolicy", _repository),
    ("ecs", "DeleteTaskDefinitions"): lambda params: [
        ("ecs:DeleteTaskDefinitions", _definition(each), {}) for each in params["taskDefinitions"]
    ],
    ("ecs", "DeregisterTaskDefinition"): _everything("ecs:DeregisterTaskDefinition"),
    ("ecs", "DescribeTaskDefinition"): _everything("ecs:DescribeTaskDefinition"),
    ("ecs", "DescribeTasks"): _tasks("ecs:DescribeTasks", "tasks"),
    ("ecs", "ExecuteCommand"): _execute_command,
    ("ecs", "ListTaskDefinitionFamilies"): _everything("ecs:ListTaskDefinitionFamilies"),
    ("ecs", "ListTaskDefinitions"): _everything("ecs:ListTaskDefinitions"),
    ("ecs", "ListTasks"): lambda params: [("ecs:ListTasks", "*", _in_cluster(params))],
    ("ecs", "RegisterTaskDefinition"): _register,
    ("ecs", "RunTask"): _run_task,
    ("ecs", "StopTask"): _tasks("ecs:StopTask", "task"),
    ("efs", "CreateAccessPoint"): _create_access_point,
    ("efs", "DeleteAccessPoint"): _delete_access_point,
    ("events", "DeleteRule"): _simply("events:DeleteRule", _rule("Name")),
    ("events", "PutRule"): _simply("events:PutRule", _rule("Name")),
    ("events", "PutTargets"): _put_targets,
    ("events", "RemoveTargets"): _simply("events:RemoveTargets", _rule("Rule")),
    ("lambda", "Invoke"): _simply(
        "lambda:InvokeFunction", lambda params: _arn("lambda", f"function:{params['FunctionName']}")
    ),
    ("lambda", "CreateEventSourceMapping"): _mapping("lambda:CreateEventSourceMapping"),
    ("lambda", "DeleteEventSourceMapping"): _mapping("lambda:DeleteEventSourceMapping"),
    ("lambda", "ListEventSourceMappings"): _everything("lambda:ListEventSourceMappings"),
    ("lambda", "UpdateEventSourceMapping"): _mapping("lambda:UpdateEventSourceMapping"),
    ("s3", "AbortMultipartUpload"): _simply("s3:AbortMultipartUpload", _object),
    ("s3", "CompleteMultipartUpload"): _simply("s3:PutObject", _object),
    ("s3", "CreateMultipartUpload"): _simply("s3:PutObject", _object),
    ("s3", "DeleteObject"): _simply("s3:DeleteObject", _object),
    ("s3", "DeleteObjects"): _objects,
    ("s3", "GetObject"): _simply("s3:GetObject", _object),
    ("s3", "HeadObject"): _simply("s3:GetObject", _object),
    ("s3", "ListObjectsV2"): _list_bucket,
    ("s3", "PutObject"): _simply("s3:PutObject", _object),
    ("s3", "UploadPart"): _simply("s3:PutObject", _object),
    ("secretsmanager", "CreateSecret"): _tagged(
        "secretsmanager:CreateSecret", "secretsmanager:TagResource", _secret("Name"), "Tags"
    ),
    ("secretsmanager", "GetSecretValue"): _simply(
        "secretsmanager:GetSecretValue", _secret("SecretId")
    ),
    ("secretsmanager", "DeleteSecret"): _simply("secretsmanager:DeleteSecret", _secret("SecretId")),
    ("sqs", "CreateQueue"): _simply("sqs:CreateQueue", _queue),
    ("sqs", "DeleteQueue"): _simply("sqs:DeleteQueue", _queue),
    ("sqs", "GetQueueUrl"): _simply("sqs:GetQueueUrl", _queue),
    ("sqs", "SetQueueAttributes"): _simply("sqs:SetQueueAttributes", _queue),
    ("ssm", "GetParameter"): _simply(
        "ssm:GetParameter", lambda params: _arn("ssm", f"parameter{params['Name']}")
    ),
    ("stepfunctions", "CreateActivity"): _create_activity,
    ("stepfunctions", "CreateStateMachine"): _create_machine,
    ("stepfunctions", "DeleteActivity"): _simply(
        "states:DeleteActivity", lambda params: str(params["activityArn"])
    ),
    ("stepfunctions", "DeleteStateMachine"): _simply(
        "states:DeleteStateMachine", lambda params: str(params["stateMachineArn"])
    ),
    ("stepfunctions", "DescribeExecution"): _simply(
        "states:DescribeExecution", lambda params: str(params["executionArn"])
    ),
    ("stepfunctions", "DescribeStateMachine"): _simply(
        "states:DescribeStateMachine", lambda params: str(params["stateMachineArn"])
    ),
    ("stepfunctions", "GetActivityTask"): _simply(
        "states:GetActivityTask", lambda params: str(params["activityArn"])
    ),
    ("stepfunctions", "ListStateMachines"): _everything("states:ListStateMachines"),
    ("stepfunctions", "SendTaskFailure"): _everything("states:SendTaskFailure"),
    ("stepfunctions", "SendTaskHeartbeat"): _everything("states:SendTaskHeartbeat"),
    ("stepfunctions", "SendTaskSuccess"): _everything("states:SendTaskSuccess"),
    ("stepfunctions", "StartExecution"): _simply(
        "states:StartExecution", lambda params: str(params["stateMachineArn"])
    ),
    ("stepfunctions", "StopExecution"): _simply(
        "states:StopExecution", lambda params: str(params["executionArn"])
    ),
    ("sts", "AssumeRole"): _simply("sts:AssumeRole", lambda params: str(params["RoleArn"])),
    ("sts", "GetCallerIdentity"): lambda _: [],  # allowed without any permission
}


def asked(calls: Iterable[str], stage: str = STAGE) -> Iterator[Asked]:
    """Yield each permission that calls need, once; a call is a line of the JSON log.

    Args:
        calls: The lines.
        stage: The stage of the installation that made them.

    Raises:
        KeyError: `NEEDS` does not list such a call.
    """
    seen: set[str] = set()
    for line in calls:
        call = json.loads(line)
        for action, resource, found in NEEDS[call["service"], call["operation"]](call["params"]):
            context = {
                key: tuple(stage if value == _OWN_STAGE else value for value in values)
                for key, values in found.items()
            }
            one = Asked(call["function"], action, resource, context, call.get("policy"))
            known = f"{one} {one.policy}"
            if known not in seen:
                seen.add(known)
                yield one


# ---- what a role may do ------------------------------------------------------------------------


@dataclass
class Rights:
    """The policies of the roles of one installation.

    Args:
        templates: ``{stack: template}``.
        known: What the emulator made, by the variables of the functions.
        made: ``{(stack, resource): its name}`` of what CloudFormation made.
    """

    templates: Mapping[str, Template]
    known: Mapping[str, str]
    made: Mapping[tuple[str, str], str] = field(default_factory=dict)
    _roles: dict[str, str] = field(default_factory=dict)
    _statements: dict[str, list[tuple[str, Template]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for stack, template in self.templates.items():
            for resource in template.get("Resources", {}).values():
                properties = resource.get("Properties", {})
                if resource["Type"] == "AWS::Serverless::Function":
                    name = properties["Handler"].partition(".")[2]
                    self._roles[name] = self.text(stack, {"Ref": _role_of(properties)})
                elif resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                    found = [(stack, each) for each in properties["PolicyDocument"]["Statement"]]
                    for role in properties["Roles"]:
                        self._statements.setdefault(self.text(stack, role), []).extend(found)

    @property
    def roles(self) -> set[str]:
        return set(self._statements)

    def allow(self, asked: Asked) -> bool:
        """Return whether the role and its session allow the call."""
        # Actions without resource-level permissions need the resource ``*``.
        wanted = asked if has_resources(asked.action) else asked._replace(resource="*")
        role = self._roles.get(asked.function, asked.function)
        session = [] if asked.policy is None else _listed(json.loads(asked.policy)["Statement"])
        return self._allowed(self._statements[role], wanted) and (
            asked.policy is None or self._allowed([("", each) for each in session], wanted)
        )

    def _allowed(self, statements: Iterable[tuple[str, Template]], asked: Asked) -> bool:
        found = [each for stack, each in statements if self._concerns(stack, each, asked)]
        return any(s["Effect"] == "Allow" for s in found) and not any(
            s["Effect"] == "Deny" for s in found
        )

    def _concerns(self, stack: str, statement: Template, asked: Asked) -> bool:
        return (
            any(_like(asked.action, each) for each in _listed(statement["Action"]))
            and any(
                _like(asked.resource, self.text(stack, each))
                for each in _listed(statement["Resource"])
            )
            and all(
                self._holds(
                    operator,
                    key,
                    [self.text(stack, each) for each in _listed(values)],
                    asked.context,
                )
                for operator, wanted in statement.get("Condition", {}).items()
                for key, values in wanted.items()
            )
        )

    @staticmethod
    def _holds(
        operator: str, key: str, patterns: list[str], context: Mapping[str, tuple[str, ...]]
    ) -> bool:
        given = context.get(key, ())
        if operator == "ForAllValues:StringLike":
            return all(any(_like(one, pattern) for pattern in patterns) for one in given)
        fits: Callable[[str, str], bool] = {
            "ArnEquals": _like,
            "StringEquals": str.__eq__,
            "StringLike": _like,
        }[operator]
        return any(fits(one, pattern) for one in given for pattern in patterns)

    # ---- values of a template ------------------------------------------------------------------

    def text(self, stack: str, value: Any) -> str:
        """Return the value of a template expression in the installation."""
        if isinstance(value, str):
            return value
        ((function, given),) = value.items()
        match function:
            case "Ref":
                return self._resource(stack, given, None)
            case "Fn::GetAtt":
                return self._resource(stack, *given)
            case "Fn::Join":
                return str(given[0]).join(self.text(stack, part) for part in given[1])
            case "Fn::ImportValue":
                return self._imported(given)
            case "Fn::Sub":
                return re.sub(
                    r"\$\{(.+?)\}", lambda found: self._resource(stack, found[1], None), given
                )
            case _:
                raise AssertionError(f"{function} is not understood here")

    def _imported(self, name: str) -> str:
        for stack, template in self.templates.items():
            for output in template.get("Outputs", {}).values():
                if output.get("Export", {}).get("Name") == name:
                    return self.text(stack, output["Value"])
        raise AssertionError(f"{name} is exported by no stack")

    def _resource(self, stack: str, name: str, attribute: str | None) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name in ("RestAPI", "WebsocketAPI"):
            return name
        resource = self.templates[stack]["Resources"][name]
        plain = self.made.get((stack, name)) or self._plain_name(
            resource["Type"], name, resource.get("Properties", {})
        )
        return plain if attribute is None else _ARNS[resource["Type"]].format(plain)

    def _plain_name(self, kind: str, name: str, properties: Template) -> str:
        if kind in _MADE:
            return self.known[_MADE[kind]]
        return str(properties.get("Name") or properties.get("LogGroupName") or name)


#: ``{type: environment variable with the name}`` of resources that the emulator creates.
_MADE = {
    "AWS::DynamoDB::GlobalTable": Variables.TABLE,
    "AWS::ECS::Cluster": Variables.CLUSTER,
    "AWS::EFS::FileSystem": Variables.FILE_SYSTEM,
    "AWS::S3::Bucket": Variables.BUCKET,
}
_ARNS = {
    "AWS::CodeBuild::Project": _arn("codebuild", "project/{}"),
    "AWS::DynamoDB::GlobalTable": _arn("dynamodb", "table/{}"),
    "AWS::ECS::Cluster": _arn("ecs", "cluster/{}"),
    "AWS::EFS::AccessPoint": _arn("elasticfilesystem", "access-point/{}"),
    "AWS::EFS::FileSystem": _arn("elasticfilesystem", "file-system/{}"),
    "AWS::Logs::LogGroup": _arn("logs", "log-group:{}:*"),
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::SQS::Queue": _arn("sqs", "{}"),
}
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}


def _role_of(function: Template) -> str:
    return str(function["Role"]["Fn::GetAtt"][0])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _like(value: str, pattern: str) -> bool:
    """Match like AWS: ``*`` and ``?`` are wildcards, brackets are literal."""
    return fnmatchcase(value, re.sub(r"\[", "[[]", pattern))


def refused(rights: Rights, calls: Iterable[Asked]) -> list[str]:
    """Return the calls that a real account would have rejected."""
    return sorted(str(call) for call in calls if not rights.allow(call))
