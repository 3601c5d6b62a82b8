"""The functions as API Gateway, EventBridge and an administrator call them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.api.store import TableConnections
from chalicelib.notifications.sender import NotificationSender
from chalicelib.people.port import Identity
from chalicelib.people.tokens import digest_of
from chalicelib.run.handlers import CloudPipelines
from chalicelib.secrets.injection import org_scope
from conducto_core.api.cloud_operations import BODY_KEY, CLOUD_OPERATIONS, MAX_DIRECT
from conducto_core.api.common_operations import OPERATIONS
from conducto_core.api.operation import API_ROOT, AnyOperation, Permission
from conducto_core.children.operations import CHILD_OPERATIONS
from conducto_core.installation.names import PERMISSIONS
from conducto_core.notifications.channels import Settings
from conducto_core.people.operations import ORGANISATION_OPERATIONS
from conducto_core.run import operations as pipelines
from conducto_core.workers.operations import WORKER_OPERATIONS
from support.cloud.throttle import taking_frames, throttled
from support.services import web_service
from support.trees import form, leaf, serial

if TYPE_CHECKING:
    from tests.functions.conftest import Front

#: Operations of users' tokens.
OPERATIONS_OF_PEOPLE = (*CLOUD_OPERATIONS, *ORGANISATION_OPERATIONS)
EVERYTHING = frozenset(PERMISSIONS)
WORKER = frozenset({"worker"})
LAUNCH = {"tree": form(serial(leaf("a")))}


def launched(front: Front, token: str, **more: Any) -> str:
    status, response = front.call("POST", "/pipelines", token, {**LAUNCH, **more})
    assert status == 200, response
    return str(response["pipeline"]["id"])


def worker_token(front: Front, org: str = "acme", pipeline_id: str = "abc") -> str:
    return front.token(org, WORKER, worker=(pipeline_id, "conducto-1", "w1"))


# ---- mounted files ----------------------------------------------------------------------------


def test_every_route_and_every_workers_call_is_mounted_behind_the_authorizer(front: Front) -> None:
    entries = [e for methods in front.module.app.routes.values() for e in methods.values()]

    mounted = {(entry.method, entry.uri_pattern) for entry in entries}
    wanted = {operation for operation in OPERATIONS if not operation.is_stream}
    others = (*CHILD_OPERATIONS, *WORKER_OPERATIONS)
    assert mounted > {(o.method, API_ROOT + o.path) for o in (*wanted, *others)}
    known = {(o.method, API_ROOT + o.path) for o in (*OPERATIONS_OF_PEOPLE, *others)}
    assert mounted - known == {
        ("POST", "/api/v1/hooks/{hook}"),
        ("GET", "/api/v1/prometheus"),
        ("POST", "/mcp"),
        ("GET", "/mcp"),
        ("DELETE", "/mcp"),
        ("GET", "/.well-known/oauth-protected-resource/mcp"),
    }
    without = {entry.uri_pattern for entry in entries if entry.authorizer is None}
    assert without == {"/api/v1/hooks/{hook}", "/.well-known/oauth-protected-resource/mcp"}
    guarded = {entry.authorizer for entry in entries if entry.authorizer is not None}
    assert guarded == {front.module.authorize}


def test_every_function_has_a_plain_name(front: Front) -> None:
    app = front.module.app
    views = {e.view_name for methods in app.routes.values() for e in methods.values()}

    assert set(app.handler_map) - views == {
        "admin",
        "authorize",
        "background",
        "build_ended",
        "data",
        "every_day",
        "every_minute",
        "execution_ended",
        "hook_event",
        "socket_connect",
        "socket_disconnect",
        "socket_message",
        "task_stopped",
    }


# ---- who may do what: the whole table ---------------------------------------------------------


def sent(operation: AnyOperation, pipeline_id: str) -> tuple[str, str, Any]:
    """Return a request for an operation that names a pipeline and is otherwise as good as any."""
    query = "?other=x&path=/a&name=x&image=i&text=x&count=1&first=1&since=0"
    wanted = {f for f in operation.params.model_fields if f"{{{f}}}" not in operation.path}
    kept = "&".join(p for p in query[1:].split("&") if p.partition("=")[0] in wanted)
    path = operation.path.replace("{id}", pipeline_id).replace("{name}", "x")
    path += f"?{kept}" if kept else ""
    return operation.method, path, BODIES.get(operation.name)


BODIES: dict[str, Any] = {
    "launch": LAUNCH,
    "launch_again": {},
    "start_program": {},
    "control": {"action": "run", "paths": ["/"]},
    "continue_pipeline": {"launch": LAUNCH},
    "debug": {"path": "/a"},
    "exec_in_failure": {"path": "/a", "command": "true"},
    "decide_approval": {"path": "/a", "approve": True},
    "open_remote_shell": {"path": "/a"},
    "open_shell": {"path": "/a"},
    "put_secrets": {"secrets": []},
    "quarantine_test": {"test": "a", "until": 9e9, "reason": "r"},
    "delete_secrets": {"keys": []},
    "write_data": "x",
    "write_user_data": "x",
}
#: What names no pipeline; it answers from the caller's own org.
OF_THE_ORG = [one for one in OPERATIONS_OF_PEOPLE if "{id}" not in one.path]
OF_A_PIPELINE = [one for one in CLOUD_OPERATIONS if "/pipelines/{id}" in one.path]


def test_no_route_answers_without_a_valid_token(front: Front) -> None:
    mine = launched(front, front.token())
    operations = [*OPERATIONS_OF_PEOPLE, *CHILD_OPERATIONS, *WORKER_OPERATIONS]
    for operation in operations:
        path = operation.path.replace("{id}", mine)
        for token in (None, "", "cdo_wrong", "x" * 5000):
            status, _ = front.call(operation.method, path, token, {})
            assert status in (401, 403), (operation.name, token)


def test_no_route_gives_away_a_pipeline_of_another_org(front: Front) -> None:
    mine = launched(front, front.token())
    stranger = front.token("other")
    for operation in OF_A_PIPELINE:
        status, response = front.call(*_with(stranger, sent(operation, mine)))
        assert status in (404, 409), (operation.name, status, response)
        assert "Train" not in json.dumps(response), operation.name
    assert front.call("GET", "/pipelines", stranger)[1]["pipelines"] == []
    record = front.app.cloud.records.store.record("acme", mine)
    assert record is not None
    assert not record.armed


def test_pipeline_routes_of_the_cloud_return_404_to_other_organisations(front: Front) -> None:
    mine = launched(front, front.token())
    for operation in (
        pipelines.GET,
        pipelines.DEFINITION,
        pipelines.TREE,
        pipelines.NODE,
        pipelines.CONTROL,
    ):
        own = front.call(*_with(front.token(), sent(operation, mine)))
        theirs = front.call(*_with(front.token("other"), sent(operation, mine)))
        assert own[0] == 200, (operation.name, own)
        assert theirs[0] == 404, (operation.name, theirs)


def test_every_route_refuses_a_token_without_its_permission(front: Front) -> None:
    mine = launched(front, front.token())
    for operation in OPERATIONS_OF_PEOPLE:
        also = {Permission.CHANGE_STATE, Permission.SECRETS}
        for lacking in {operation.permission} | (
            also if operation.permission is Permission.DEBUG else set()
        ):
            token = front.token(permissions=EVERYTHING - {lacking})
            status, response = front.call(*_with(token, sent(operation, mine)))
            assert status == 403, (operation.name, lacking, status)
            assert response["title"] == "not allowed", operation.name
            assert lacking in response["detail"], operation.name


def test_a_workers_token_opens_no_route_of_people(front: Front) -> None:
    mine = launched(front, front.token())
    for operation in OPERATIONS_OF_PEOPLE:
        status, _ = front.call(*_with(worker_token(front, pipeline_id=mine), sent(operation, mine)))
        assert status == 403, operation.name


def test_token_with_user_and_worker_permissions_is_rejected(front: Front) -> None:
    both = front.token(permissions=EVERYTHING | WORKER)

    assert front.call("GET", "/pipelines", both)[0] == 403


def test_a_persons_token_opens_no_call_of_workers_and_commands(front: Front) -> None:
    for operation in (*CHILD_OPERATIONS, *WORKER_OPERATIONS):
        status, _ = front.call(operation.method, operation.path, front.token(), {})
        assert status == 403, operation.name


def test_worker_without_a_record_is_stopped(front: Front) -> None:
    mine = launched(front, front.token())
    start = {"task": "arn:aws:ecs:us-east-1:123456789012:task/x/1", "protocol": 1}

    own = front.call("POST", "/worker/start", worker_token(front, pipeline_id=mine), start)
    forged = front.call("POST", "/worker/start", worker_token(front, "other", mine), start)

    assert (own[0], own[1]["title"]) == (410, "worker lost")
    assert forged[0] == 404


def _with(token: str, request: tuple[str, str, Any]) -> tuple[str, str, str, Any]:
    method, path, body = request
    return method, path, token, body


# ---- requests ---------------------------------------------------------------------------------


def test_a_pipeline_is_launched_read_and_listed(front: Front) -> None:
    token = front.token()

    mine = launched(front, token)

    assert front.call("GET", f"/pipelines/{mine}", token)[1]["pipeline"]["id"] == mine
    tree = front.call("GET", f"/pipelines/{mine}/tree?depth=5", token)[1]
    assert [node["path"] for node in tree["nodes"]] == ["/", "/a"]
    assert [
        p["pipeline"]["id"] for p in front.call("GET", "/pipelines", token)[1]["pipelines"]
    ] == [mine]


def test_repeated_request_with_one_key_is_executed_once(front: Front) -> None:
    token = front.token()
    key = {"Idempotency-Key": "k1"}

    first = front.call("POST", "/pipelines", token, LAUNCH, key)[1]["pipeline"]["id"]
    again = front.call("POST", "/pipelines", token, LAUNCH, key)[1]["pipeline"]["id"]
    theirs = front.call("POST", "/pipelines", front.token("other"), LAUNCH, key)[1]

    assert first == again
    assert theirs["pipeline"]["id"] != first


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/pipelines?limit=1&limit=2", None, {}, 422),
        ("/pipelines?limit=x", None, {}, 422),
        ("/pipelines", {"tree": 5}, {}, 422),
        ("/pipelines", LAUNCH, {"Content-Type": "text/plain"}, 415),
    ],
)
def test_a_wrong_request_is_a_problem(
    front: Front, path: str, body: Any, headers: dict[str, str], status: int
) -> None:
    method = "GET" if body is None else "POST"

    found, response = front.call(method, path, front.token(), body, headers)

    assert found == status
    assert response["status"] == status
    assert response["detail"]


def test_a_large_body_comes_by_way_of_the_bucket(front: Front) -> None:
    token = front.token()
    upload = front.call("POST", "/uploads", token)[1]
    assert upload["url"].startswith("https://")
    front.app.cloud.storage.blobs.put(upload["key"], json.dumps(LAUNCH).encode())

    status, response = front.call("POST", "/pipelines", token, None, {BODY_KEY: upload["key"]})

    assert status == 200, response


def test_action_by_way_of_the_bucket_is_audited_with_its_paths(front: Front) -> None:
    token = front.token(permissions=frozenset({*PERMISSIONS}))
    mine = launched(front, token)
    key = front.call("POST", "/uploads", token)[1]["key"]
    padded = json.dumps({"action": "skip", "paths": ["/a"]}) + " " * (300 << 10)
    front.app.cloud.storage.blobs.put(key, padded.encode())
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", BODY_KEY: key}

    route = f"{API_ROOT}/pipelines/{mine}/control"
    response = front.client.http.post(route, headers=sent, body=b"[" * 100_000)

    assert response.status_code == 200, response.body
    entry = front.call("GET", "/audit?operation=control", token)[1]["entries"][0]
    assert (entry["user"], entry["subject"], entry["paths"], entry["status"]) == (
        "ann",
        mine,
        ["/a"],
        200,
    )


def test_a_body_that_another_put_there_is_not_read(front: Front) -> None:
    key = front.call("POST", "/uploads", front.token())[1]["key"]
    front.app.cloud.storage.blobs.put(key, json.dumps(LAUNCH).encode())

    for wrong in (key, "trees/abc/x", "uploads/other/ann/../../acme/ann/x"):
        status, response = front.call(
            "POST", "/pipelines", front.token("other"), None, {BODY_KEY: wrong}
        )
        assert status == 422, response
        assert BODY_KEY in response["detail"]


def test_oversized_response_is_fetched_from_s3(front: Front) -> None:
    token = front.token()
    tree = form(serial(leaf("a", doc="x" * (MAX_DIRECT + 1))))
    key = front.call("POST", "/uploads", token)[1]["key"]
    front.app.cloud.storage.blobs.put(key, json.dumps({"tree": tree}).encode())
    status, response = front.call("POST", "/pipelines", token, None, {BODY_KEY: key})
    assert status == 200, response
    mine = response["pipeline"]["id"]

    status, response = front.call("GET", f"/pipelines/{mine}/definition", token)

    assert status == 303
    assert response.headers["location"].startswith("https://")


def test_throttled_table_returns_retry_after(front: Front) -> None:
    token = front.token()
    mine = launched(front, token)
    client = front.app.cloud.records.store._table._clients.get("dynamodb")

    with throttled(client, "TransactWriteItems"):
        status, response = front.call(
            "POST", f"/pipelines/{mine}/control", token, {"action": "run", "paths": ["/"]}
        )

    assert (status, response["title"]) == (503, "busy")


# ---- events -----------------------------------------------------------------------------------


def test_foreign_and_late_events_are_ignored(front: Front) -> None:
    module, client = front.module, front.client
    stopped = {"group": "conducto:acme:w1", "startedBy": "nope", "stoppedReason": "gone"}
    for detail in (stopped, {"group": "family:other"}, {}):
        event = client.events.generate_cw_event("aws.ecs", "ECS Task State Change", detail, [])
        client.lambda_.invoke("task_stopped", event)
    for machine in ("conducto-x", "other"):
        detail = {
            "stateMachineArn": f"arn:aws:states:us-east-1:1:stateMachine:{machine}",
            "name": "nope-1",
            "status": "SUCCEEDED",
        }
        event = client.events.generate_cw_event("aws.states", "x", detail, [])
        client.lambda_.invoke("execution_ended", event)
    assert list(front.app.cloud.records.store.open_pipelines()) == []
    assert module.app is not None


def test_the_minute_rule_looks_after_open_pipelines(front: Front) -> None:
    event = front.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])

    assert front.client.lambda_.invoke("every_minute", event).payload is None


def test_notifications_are_sent_every_minute(front: Front) -> None:
    token = front.token()
    front.app.cloud.secrets.vault.replace(
        org_scope("acme"), {"SLACK_TOKEN": {"value": "xoxb-1"}}, ""
    )
    callback = ["queued", ["slack_status", {"recipient": "#ops", "message": "off it goes"}]]
    tree = form(serial(leaf("a", callbacks=[callback])))
    event = front.client.events.generate_cw_event("aws.events", "Scheduled Event", {}, [])

    def diagnoses(org: str) -> CloudPipelines:
        return front.app.services.pipelines(Identity(org, "", frozenset()))

    with web_service() as service:
        settings = Settings(slack=service.url)
        vars(front.app)["messenger"] = NotificationSender(
            front.app.cloud.records,
            front.app.cloud.git,
            front.app.cloud.secrets.vault,
            front.app.cloud.installation.web_app,
            front.app.cloud.timing.clock,
            diagnoses=diagnoses,
            settings=settings,
        )
        pipeline = launched(front, token, tree=tree, run=True)
        front.client.lambda_.invoke("every_minute", event)
        front.client.lambda_.invoke("every_minute", event)

    (asked,) = service.asked
    assert (asked.token, asked.body["channel"]) == ("xoxb-1", "#ops")
    _, page = front.call("GET", f"/pipelines/{pipeline}/tree", token)
    (node,) = [node for node in page["nodes"] if node["path"] == "/a"]
    assert [told["delivery"] for told in node["notifications"]] == ["sent"]


# ---- WebSockets -------------------------------------------------------------------------------


def socket(front: Front, kind: str, body: Any = None, **headers: str) -> Any:
    """Let API Gateway tell of a WebSocket; return what it is answered."""
    event = {
        "requestContext": {
            "apiId": "a",
            "stage": "api",
            "domainName": "socket.invalid",
            "connectionId": "c1",
        },
        "headers": headers,
        "body": None if body is None else json.dumps(body),
    }
    return front.client.lambda_.invoke(f"socket_{kind}", event).payload


def gateway(front: Front) -> Any:
    """Return the client that frames are sent with."""
    connections = front.app.cloud.connections
    assert isinstance(connections, TableConnections)
    return connections._clients.get("apigatewaymanagementapi", front.app.addresses.socket)


def test_browser_authenticates_by_a_subprotocol(front: Front) -> None:
    token = front.token()
    mine = launched(front, token)
    offered = {"Sec-WebSocket-Protocol": f"conducto.v1, conducto.token.{token}"}

    response = socket(front, "connect", **offered)
    with taking_frames(gateway(front)):
        followed = socket(front, "message", {"subscribe": mine, "cursor": 0})

    assert response == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "conducto.v1"}}
    assert followed["statusCode"] == 200
    assert front.app.cloud.connections.followers(mine) == [("c1", 0)]


def test_client_authenticates_in_its_first_message(front: Front) -> None:
    token = front.token()
    mine = launched(front, token)

    assert socket(front, "connect")["statusCode"] == 200
    with taking_frames(gateway(front)) as frames:
        assert socket(front, "message", {"subscribe": mine})["statusCode"] == 403
        told = socket(front, "message", {"subscribe": mine, "token": token})
        status, response = front.call(
            "POST", f"/pipelines/{mine}/control", token, {"action": "skip", "paths": ["/a"]}
        )
    assert (told["statusCode"], status) == (200, 200), response
    changes = [change for frame in frames for change in json.loads(frame)["changes"]]
    assert ("/a", True) in [(change["path"], change["skipped"]) for change in changes]
    assert len(front.app.cloud.connections.followers(mine)) == 1

    socket(front, "disconnect")
    assert front.app.cloud.connections.followers(mine) == []


def test_a_revoked_token_subscribes_to_nothing_more(front: Front) -> None:
    token = front.token()
    mine, other = launched(front, token), launched(front, token)
    with taking_frames(gateway(front)):
        before = socket(front, "message", {"subscribe": mine, "token": token})
        front.app.cloud.records.tokens.revoke_once(digest_of(token))
        after = socket(front, "message", {"subscribe": other})

    assert (before["statusCode"], after["statusCode"]) == (200, 403)
    assert front.app.cloud.connections.followers(other) == []
    assert front.app.cloud.connections.followers(mine) == []


def test_pipelines_of_another_org_cannot_be_followed(front: Front) -> None:
    mine = launched(front, front.token())
    with taking_frames(gateway(front)) as frames:
        socket(front, "message", {"subscribe": mine, "token": front.token("other")})

    assert front.app.cloud.connections.followers(mine) == []
    assert [json.loads(frame)["status"] for frame in frames] == [404]


def test_invalid_message_gets_an_error_response(front: Front) -> None:
    token = front.token()
    with taking_frames(gateway(front)) as frames:
        socket(front, "message", {"subscribe": 5, "token": token})

    assert json.loads(frames[0])["status"] == 422
    assert token not in frames[0].decode()


def test_web_app_authenticates_by_the_cookie_header_of_cloudfront(
    front: Front,
) -> None:
    offered = {"Sec-WebSocket-Protocol": "conducto.v1"}
    mine = launched(front, front.token())

    wrong = socket(front, "connect", Authorization="Bearer cdo_wrong", **offered)
    response = socket(front, "connect", Authorization=f"Bearer {front.token()}", **offered)
    with taking_frames(gateway(front)):
        socket(front, "message", {"subscribe": mine, "cursor": 0})

    assert wrong["statusCode"] == 403
    assert response == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "conducto.v1"}}
    assert front.app.cloud.connections.followers(mine) == [("c1", 0)]


@pytest.mark.parametrize("permissions", [frozenset({"launch"}), WORKER])
def test_a_token_that_may_not_read_follows_nothing(
    front: Front, permissions: frozenset[str]
) -> None:
    mine = launched(front, front.token())
    token = front.token(permissions=permissions)
    offered = {"Sec-WebSocket-Protocol": f"conducto.v1, conducto.token.{token}"}

    assert socket(front, "connect", **offered)["statusCode"] == 403
    assert socket(front, "message", {"subscribe": mine, "token": token})["statusCode"] == 403
    assert front.app.cloud.connections.followers(mine) == []


# ---- administration ---------------------------------------------------------------------------


def admin(front: Front, kind: str, **more: Any) -> Any:
    return front.client.lambda_.invoke("admin", {"kind": kind, "org": "acme", **more}).payload


def test_the_first_token_is_minted_by_an_administrator(front: Front) -> None:
    token = admin(front, "mint_token", user="ann", days=30)["token"]

    assert front.call("GET", "/pipelines", token)[0] == 200


def test_a_token_that_was_revoked_opens_nothing(front: Front) -> None:
    token = admin(front, "mint_token", user="ann")["token"]
    listed = admin(front, "list_tokens")["tokens"]

    assert admin(front, "revoke_token", token=listed[0]["id"])["error"] is None

    assert front.call("GET", "/pipelines", token)[0] == 403
    assert admin(front, "list_tokens")["tokens"] == []
    assert "has no tokens" in admin(front, "revoke_token", token=listed[0]["id"])["error"]


def test_token_list_does_not_contain_tokens(front: Front) -> None:
    token = admin(front, "mint_token", user="ann")["token"]

    assert token.removeprefix("cdo_")[:12] not in json.dumps(admin(front, "list_tokens"))


def test_administrator_sets_a_plan_and_omitted_values_stay(front: Front) -> None:
    admin(front, "set_plan", name="scale", max_workers=50, unlimited_minutes=True)

    plan = admin(front, "set_plan", max_pipelines=9)["plan"]

    assert (plan["name"], plan["max_workers"], plan["max_pipelines"]) == ("scale", 50, 9)
    assert plan["exec_minutes"] is None
    assert admin(front, "show_plan")["plan"] == plan


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "x"},
        {"kind": "mint_token", "org": "a/b", "user": "ann"},
        {"kind": "mint_token", "org": "a", "user": "ann", "permissions": ["worker"]},
        {"kind": "set_plan", "org": "a", "max_workers": -1},
        "text",
    ],
)
def test_administrator_is_shown_the_error(front: Front, wrong: Any) -> None:
    assert front.client.lambda_.invoke("admin", wrong).payload["error"]
