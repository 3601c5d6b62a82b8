"""ECS: what Fargate does with the containers of a task."""

from __future__ import annotations

import inspect
import json
import os
import time
from typing import Any

from ministack.services import ecs, efs, eventbridge, sts

from system.deploy.shims import Shim, replace
from system.deploy.shims.functions import folder_of

_SETTINGS = (("entryPoint", "entrypoint"), ("user", "user"), ("workingDirectory", "working_dir"))
#: The name of the container of the worker's agent (`conducto_core.command.task_layout`).
_AGENT = "agent"
_TRUST = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


def send_event(source: str, kind: str, resource: str, detail: Any) -> None:
    """Send an event of AWS's own to EventBridge."""
    entry = {"Source": source, "DetailType": kind, "Resources": [resource]}
    entry["Detail"] = json.dumps(detail, default=str)
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)


# ---- containers ---------------------------------------------------------------------------------


def _options(cdef: dict[str, Any], task: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings with which ministack starts a container."""
    found: dict[str, Any] = ecs._build_run_kwargs(
        {"name": "probe", **cdef},
        task or {},
        {},
        None,
        None,
        False,
        "probe",
        "probe",
        None,
        "probe",
    )
    return found


def _apply_settings() -> None:
    @replace(ecs, "_build_run_kwargs")
    def options(original: Any, cdef: Any, *rest: Any) -> Any:
        found = original(cdef, *rest)
        found.update({name: cdef[given] for given, name in _SETTINGS if cdef.get(given)})
        return found


def _ignores_settings() -> bool:
    found = _options({"entryPoint": ["sh"], "user": "7", "workingDirectory": "/w"})
    return not all(name in found for _, name in _SETTINGS)


def _mount_volumes() -> None:
    @replace(ecs, "_build_run_kwargs")
    def options(original: Any, cdef: Any, td: Any, *rest: Any) -> Any:
        found = original(cdef, td, *rest)
        task_id = rest[4]
        sources = {
            volume["name"]: _source(volume, task_id)
            for volume in td.get("volumes", ())
            if not (volume.get("host") or {}).get("sourcePath")
        }
        binds = [
            f"{sources[mount['sourceVolume']]}:{mount['containerPath']}:"
            f"{'ro' if mount.get('readOnly') else 'rw'}"
            for mount in cdef.get("mountPoints", ())
            if mount["sourceVolume"] in sources
        ]
        found["volumes"] = [*found.get("volumes", ()), *binds]
        return found


def _source(volume: dict[str, Any], task_id: str) -> str:
    known = volume.get("efsVolumeConfiguration")
    if known is None:
        return f"ministack-{task_id}-{volume['name']}"
    return folder_of(efs._access_points[known["authorizationConfig"]["accessPointId"]])


def _ignores_volumes() -> bool:
    mount = {"sourceVolume": "shared", "containerPath": "/shared"}
    return not _options({"mountPoints": [mount]}, {"volumes": [{"name": "shared"}]}).get("volumes")


def _use_names() -> None:
    address = os.environ.get("ADDRESS")
    bundle = os.environ["SSL_CERT_FILE"]

    @replace(ecs, "_build_run_kwargs")
    def options(original: Any, cdef: Any, td: Any, env: dict[str, str], *rest: Any) -> Any:
        env.pop("AWS_ENDPOINT_URL", None)
        env.update(dict.fromkeys(_TRUST, bundle))
        found = original(cdef, td, env, *rest)
        found["volumes"] = [*found.get("volumes", ()), f"{bundle}:{bundle}:ro"]
        found["dns"] = [address]
        return found


def _lend_roles() -> None:
    @replace(ecs, "_build_run_kwargs")
    def options(original: Any, cdef: Any, td: Any, env: dict[str, str], *rest: Any) -> Any:
        if td.get("taskRoleArn") and cdef.get("name") == _AGENT:
            env.update(_keys_of(td["taskRoleArn"], rest[4].rpartition("/")[2]))
        return original(cdef, td, env, *rest)


def _keys_of(role: str, session: str) -> dict[str, str]:
    """Return the variables with the keys of a session in a role."""
    arn, _ = sts._assumed_role_arn(role, session)
    key, secret = sts._gen_session_access_key(), sts._gen_secret()
    token = sts._gen_session_token()
    sts.register_session(
        key,
        {
            "Arn": arn,
            "UserId": f"{sts._role_id(role)}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + 6 * 3600,
            "AccountId": role.split(":")[4],
            "PrincipalType": "AssumedRole",
            "SourceAccessKeyId": "ecs-tasks",
            "SourcePrincipalArn": "ecs-tasks.amazonaws.com",
            "SessionTags": [],
            "SessionPolicies": None,
        },
    )
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
    }


# ---- the end of a task --------------------------------------------------------------------------


def _end_tasks() -> None:
    @replace(ecs, "_cleanup_task_resources")
    def clean_up(original: Any, task: Any, client: Any, extra: Any = None) -> None:
        client = client or ecs._get_docker()
        original(task, client, extra)
        identity = task["taskArn"].rpartition("/")[2]
        for volume in client.volumes.list(filters={"name": f"ministack-{identity}"}):
            volume.remove(force=True)


def _leaves_containers() -> bool:
    return "_cleanup_task_resources(task, None)" in inspect.getsource(ecs._maybe_mark_stopped)


def _send_events() -> None:
    @replace(ecs, "_mark_task_stopped")
    def stopped(original: Any, task_arn: str, task: Any, *rest: Any, **more: Any) -> Any:
        changed = original(task_arn, task, *rest, **more)
        if changed:
            send_event("aws.ecs", "ECS Task State Change", task_arn, ecs._sanitize(task))
        return changed


SHIMS = (
    Shim(
        "task-settings",
        "Fargate applies a container's entry point, user and directory; ministack does not.",
        _apply_settings,
        _ignores_settings,
    ),
    Shim(
        "task-volumes",
        "Containers of a task share its volumes and mount EFS; ministack mounts folders of the "
        "host only.",
        _mount_volumes,
        _ignores_volumes,
    ),
    Shim(
        "task-names",
        "Fargate sets no AWS_ENDPOINT_URL; ministack does. Containers use AWS's names, and trust "
        "the test's authority.",
        _use_names,
        lambda: 'env["AWS_ENDPOINT_URL"]' in inspect.getsource(ecs),
    ),
    Shim(
        "task-roles",
        "ECS gives the containers of a task a session in its role, named after the task; "
        "ministack gives them the account.",
        _lend_roles,
        lambda: "_assumed_role_arn" not in inspect.getsource(ecs),
    ),
    Shim(
        "task-end",
        "A task ends with its essential container; ministack leaves its other containers running.",
        _end_tasks,
        _leaves_containers,
    ),
    Shim(
        "task-events",
        "EventBridge receives an event when a task stops; ministack sends none.",
        _send_events,
        lambda: "Task State Change" not in inspect.getsource(ecs),
    ),
)
