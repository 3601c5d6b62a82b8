"""The contract as it goes over a wire: its shape changes knowingly, and its records are strict."""

import difflib
import json

import pytest
from pydantic import ValidationError

from conducto_core.images.model import ImageSpec
from conducto_core.record import SCHEMA_VERSION
from conducto_core.run.model.records import (
    AttemptRecord,
    ChangeRow,
    Counts,
    ImageRecord,
    NodeChange,
    NodeState,
    PipelineRecord,
)
from conducto_core.run.model.requests import ControlRequest, LaunchRequest, PipelineSummary
from conducto_core.run.model.states import (
    FAILED,
    FINISHED,
    IN_FLIGHT,
    STATE_OF_CAUSE,
    Cause,
    NodeType,
    State,
)
from support.golden import FILES, REMEDY, read
from support.wire_schemas import operations, records, without_prose


def test_contract_has_the_agreed_shape():
    agreed, now = read("schemas.json"), FILES["schemas.json"]()

    changed = difflib.unified_diff(agreed.splitlines(), now.splitlines(), lineterm="", n=6)

    assert agreed == now, "\n".join([REMEDY, *changed])


def test_every_record_is_in_the_agreed_contract():
    agreed = json.loads(read("schemas.json"))["records"]

    assert {kind.__name__ for kind in records().values()} <= set(agreed)


def test_every_call_lives_at_a_place_of_its_own():
    places = [(call.method, call.path) for call in operations().values()]

    assert len(set(places)) == len(places)


def test_prose_is_left_out_of_a_schema_and_a_property_of_that_name_is_not():
    schema = {
        "title": "T",
        "description": "d",
        "properties": {
            "title": {"type": "string", "title": "Title", "default": None},
            "tags": {"items": {"title": "Tag", "enum": ["title"]}},
        },
    }

    assert without_prose(schema) == {
        "properties": {
            "title": {"type": "string", "default": None},
            "tags": {"items": {"enum": ["title"]}},
        }
    }


EVERY = pytest.mark.parametrize("kind", records().values(), ids=list(records()))


@EVERY
def test_a_record_refuses_fields_it_does_not_know_and_cannot_be_changed(kind):
    assert kind.model_config["extra"] == "forbid"
    assert kind.model_config["frozen"] is True


ROUND_TRIPS = [
    NodeState(path="/a", state=State.ERROR, cause=Cause.TIMEOUT, attempt=2, tries=1, mem=4.0),
    NodeChange(seq=1, time=2.5, path="/a", type=NodeType.EXEC, state=State.DONE, exit_code=0),
    AttemptRecord(path="/a", number=1, state=State.KILLED, env={"A": "ü\n"}, peak_memory=1 << 40),
    PipelineRecord(id="x", title="t", tags=("a", "b"), armed=True, run_at=1.5),
    PipelineSummary(
        pipeline=PipelineRecord(id="x", title="t"),
        state=State.RUNNING,
        counts=Counts(running=1),
        settled=False,
        seq=9,
        images=(ImageRecord(name="i"),),
    ),
    ImageSpec(name="i", image="busybox", install_npm=True, path_map={"/a": "/b"}),
    ControlRequest(action="reset", paths=("/a", "/b c")),
    LaunchRequest(tree={"nodes": [], "edges": [], "images": {}}, tags=("a",)),
]


@pytest.mark.parametrize("record", ROUND_TRIPS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back_from_json_as_it_was(record):
    assert type(record).model_validate_json(record.model_dump_json()) == record


def test_a_pipeline_says_which_version_of_the_contract_it_was_written_in():
    assert PipelineRecord(id="x", title="t").model_dump()["schema_version"] == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        pytest.param(NodeState, {"path": "/", "state": "done_skipped"}, id="an old state name"),
        pytest.param(NodeState, {"path": "/", "cause": "oom"}, id="an unknown cause"),
        pytest.param(NodeState, {"path": "/", "colour": "red"}, id="an unknown field"),
        pytest.param(NodeState, {}, id="a field less"),
        pytest.param(ControlRequest, {"action": "explode"}, id="an unknown order"),
    ],
)
def test_record_rejects_data_outside_of_the_contract(kind, data):
    with pytest.raises(ValidationError):
        kind.model_validate(data)


def test_the_words_of_the_contract():
    assert [str(state) for state in State] == [
        "pending",
        "queued",
        "running",
        "done",
        "error",
        "killed",
    ]
    assert [str(cause) for cause in Cause] == [
        "exit_code",
        "timeout",
        "out_of_memory",
        "image",
        "no_worker",
        "no_capacity",
        "worker_lost",
        "spot",
        "killed_by_user",
        "lazy",
        "input",
        "service",
        "spend_limit",
        "budget",
        "rejected",
        "approval_timeout",
    ]
    assert [str(kind) for kind in NodeType] == ["Exec", "Serial", "Parallel"]


def test_every_state_is_ahead_of_a_node_on_its_way_or_behind_it():
    assert {State.PENDING} | IN_FLIGHT | FINISHED == set(State)
    assert not IN_FLIGHT & FINISHED
    assert {State.DONE} == FINISHED - FAILED


def test_every_cause_is_that_of_a_failed_state():
    assert {state for cause, state in STATE_OF_CAUSE.items() if cause is not None} == FAILED


@pytest.mark.parametrize("path", ["/", '/a"\\\n\x1f/\u00fc\U0001f600'])
@pytest.mark.parametrize("cause", [None, Cause.TIMEOUT])
def test_row_of_a_change_has_the_json_of_its_record(path: str, cause: Cause | None):
    bare = ChangeRow(1, 0.1, path, NodeType.SERIAL, State.DONE, False, cause, True, 2, None, None)
    full = bare._replace(time=1e16, skipped=True, warning=False, exit_code=0, output_bytes=1 << 40)

    for row in (bare, full):
        assert NodeChange.model_validate_json(row.json()) == row.published()
        assert json.loads(row.json()) == json.loads(row.published().model_dump_json())
