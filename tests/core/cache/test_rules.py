"""The policy of the cache: inputs, refusals, trust, decisions, and the outcomes that are stored."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto.tree.parameters import NAMES
from conducto_core.cache import rules
from conducto_core.cache.model import CacheEntry
from conducto_core.cache.rules import Inputs, Trust
from conducto_core.programs.rules.fingerprints import ImageContent, fingerprint
from conducto_core.results.model import OutputSummary
from conducto_core.run.model.records import (
    AttemptRecord,
    ForeignChange,
    GitOrigin,
    PipelineRecord,
)
from conducto_core.run.model.states import Cause, State
from conducto_core.tree.model import NodeSpec
from conducto_core.tree.rules.resolve import resolve

RECORD = PipelineRecord(id="abc-def", title="t", owner="ann")
IMAGE = ImageContent("sha256:1", "base", "code")


def spec_of(**params: Any) -> NodeSpec:
    root = co.Serial(image=params.pop("image", "x"))
    root["other"] = co.Exec("other")
    root["node"] = co.Exec(params.pop("command", "make"), **{"cache": True, **params})
    return resolve(to_launch_form(root)).nodes["/node"]


def fields(spec: NodeSpec | None = None, **given: Any) -> dict[str, str]:
    spec = spec_of() if spec is None else spec
    inputs = Inputs(
        script=spec.command,
        env=spec.env,
        secrets={},
        image=IMAGE,
        shell="sh",
        results=dict.fromkeys(spec.results, b"1"),
        files={},
    )
    found = rules.fields_of(spec, replace(inputs, **given), RECORD)
    assert isinstance(found, dict)
    return found


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    return [name for name in rules.FIELDS if one[name] != other[name]]


# ---- every parameter of a node --------------------------------------------------------------

#: ``{parameter: another value than that of `spec_of`}``
CHANGED: dict[str, Any] = {
    "command": "make all",
    "env": {"A": "1"},
    "gpu": 1,
    "arch": "arm64",
    "machine": "big",
    "isolate": True,
    "junit": "reports/*.xml",
    "coverage": "coverage.xml",
    "results": ["/other"],
    "cache": co.Cache(salt="2"),
    "code": ["src/"],
    "cpu": 4,
    "mem": 8,
    "spot": True,
    "max_time": 60,
    "budget": 5,
    "budget_action": "kill",
    "retry": co.retry(2),
    "retry_lost": 2,
    "limits": co.Limit("db", 1),
    "skip": True,
    "run_if": ["==", "/other", [], 1],
    "suppress_errors": True,
    "snapshot_on_error": True,
    "doc": "about",
    "title": "title",
    "tags": ["tag"],
    "callback_data": 1,
    "pipeline_reservation": 1,
    "file": "other.py",
    "line": 7,
    "launch": True,
    "requires_docker": True,
    "docker_run_args": ["-v", "/a:/b"],
    "container_reuse_context": co.ContainerReuseContext.NEW,
    "same_container": co.ContainerReuseContext.NEW,
    "services": {"db": co.Service("postgres:16")},
    "buckets": {"/data/raw": co.Bucket("s3://acme/raw")},
}
#: Inputs of the image and the secrets, which have tests of their own; parameters of groups.
ELSEWHERE = {"image", "image_name", "secrets", "name", "max_concurrent", "stop_on_error"}


def test_every_parameter_of_a_node_is_classified_once() -> None:
    kinds = (rules.COUNTS, rules.DOES_NOT_COUNT, rules.REFUSES, rules.IN_ENVIRONMENT)
    assert set().union(*kinds) == NAMES | {"command"}
    assert not any(one & other for one, other in itertools.combinations(kinds, 2))
    assert set(CHANGED) | ELSEWHERE == NAMES | {"command"}


@pytest.mark.parametrize("name", sorted((rules.COUNTS | rules.IN_ENVIRONMENT) - ELSEWHERE))
def test_a_parameter_that_counts_changes_the_key(name: str) -> None:
    assert differing(fields(), fields(spec_of(**{name: CHANGED[name]})))


@pytest.mark.parametrize("name", sorted(rules.DOES_NOT_COUNT - ELSEWHERE))
def test_a_parameter_that_does_not_count_keeps_the_key(name: str) -> None:
    assert fields() == fields(spec_of(**{name: CHANGED[name]}))


@pytest.mark.parametrize(
    "name", ["launch", "requires_docker", "docker_run_args", "services", "buckets"]
)
def test_a_parameter_with_undeclared_inputs_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="/node: cache= cannot be used here"):
        spec_of(**{name: CHANGED[name]})


@pytest.mark.parametrize("name", ["container_reuse_context", "same_container"])
def test_commands_that_share_a_container_are_refused(name: str) -> None:
    root = co.Serial(image="x", **{name: CHANGED[name]})
    root["a"], root["b"] = co.Exec("a"), co.Exec("b", cache=True)
    with pytest.raises(DefinitionError, match="other commands share its container"):
        resolve(to_launch_form(root))
    assert spec_of(**{name: CHANGED[name]}).cache is not None  # a container of its own


def test_an_inherited_cache_is_switched_off_where_it_is_refused() -> None:
    root = co.Serial(image="x", cache=True)
    root["plain"], root["launches"] = co.Exec("a"), co.Exec("b", launch=True)
    root["off"] = co.Exec("c", cache=False)
    nodes = resolve(to_launch_form(root)).nodes
    assert nodes["/plain"].cache is not None
    assert nodes["/launches"].cache is None
    assert nodes["/launches"].cache_off == "it may launch pipelines (launch=True)"
    assert (nodes["/off"].cache, nodes["/off"].cache_off) == (None, None)


def test_a_command_that_names_its_pipeline_is_refused() -> None:
    with pytest.raises(DefinitionError, match="names CONDUCTO_PIPELINE_ID"):
        spec_of(command="echo $CONDUCTO_PIPELINE_ID")


@pytest.mark.parametrize("name", ["reads", "writes"])
def test_files_are_values_of_the_cache(name: str) -> None:
    with pytest.raises(TypeError, match=rf"files belong to the cache: cache=co.Cache\({name}="):
        co.Exec("a", **{name: ["raw/"]})


@pytest.mark.parametrize(
    "more", [{"reads": ["b/"]}, {"writes": ["b/"]}, {"writes": ["c/"], "inputs": "copy"}]
)
def test_the_names_of_files_are_settings(more: dict[str, Any]) -> None:
    plain = spec_of(cache=co.Cache(reads=["a/"], writes=["c/"]))
    other = spec_of(cache=co.Cache(**{"reads": ["a/"], "writes": ["c/"], **more}))
    assert differing(fields(plain), fields(other)) == ["settings"]


def test_the_content_of_files_counts() -> None:
    spec = spec_of(cache=co.Cache(reads=["a/"]))
    before, now = fields(spec, data={"a/x": "-1"}), fields(spec, data={"a/x": "-2"})
    assert differing(before, now) == ["files"]


@pytest.mark.parametrize(
    ("cache", "about"),
    [
        ("yes", "cache must be True, False or co.Cache"),
        ({"salty": "1"}, "cache must be True, False or co.Cache"),
        ({"serialize": "yes"}, "serialize must be True or False, got 'yes'"),
        ({"inputs": "move"}, "inputs is one of link, copy"),
        ({"reads": "raw/"}, "reads must be a list"),
        ({"reads": ["/raw/"]}, "reads has names below the pipeline's data"),
        ({"writes": ["a/../b"]}, "writes has names below the pipeline's data"),
        ({"writes": ["a//b"]}, "writes has names of files"),
        ({"scope": "world"}, "scope of a cache is one of"),
        ({"max_age": 0}, "max_age"),
        ({"ignore": "A"}, "ignore must be a list"),
        ({"ignore": ["a b"]}, "names of variables"),
        ({"salt": 3}, "salt of a cache is a text"),
    ],
)
def test_an_invalid_cache_is_an_error(cache: Any, about: str) -> None:
    with pytest.raises(ValueError, match=about):
        co.Exec("a", cache=cache)
    form = to_launch_form(co.Exec("a", image="x"))
    form["nodes"][0]["cache"] = cache
    with pytest.raises(DefinitionError, match=about):
        resolve(form)


@pytest.mark.parametrize("code", ["src/", ["/etc"], ["../x"], [""], [3]])
def test_invalid_names_of_code_are_an_error(code: Any) -> None:
    form = to_launch_form(co.Exec("a", image="x"))
    form["nodes"][0]["code"] = code
    with pytest.raises(DefinitionError, match="code"):
        resolve(form)


# ---- the other inputs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"image": IMAGE._replace(base="other")}, "base image"),
        ({"shell": "bash"}, "base image"),
        ({"image": IMAGE._replace(code="other")}, "code"),
        ({"secrets": {"T": ("user", 1.0)}}, "secrets"),
        ({"script": "other"}, "command"),
        ({"env": {"A": "1"}}, "environment"),
        ({"results": {"/other": b"2"}}, "results"),
    ],
)
def test_an_input_has_a_field(given: Any, name: str) -> None:
    assert differing(fields(), fields(**given)) == [name]


def test_the_reference_of_an_image_and_the_path_do_not_count() -> None:
    elsewhere = replace(spec_of(), path="/elsewhere")
    assert fields() == fields(elsewhere, image=IMAGE._replace(reference="sha256:2"))


def test_a_scope_has_keys_of_its_own() -> None:
    spec = spec_of(cache=co.Cache(scope="pipeline"))
    mine = fields(spec)
    other = rules.fields_of(
        spec,
        Inputs(spec.command, spec.env, {}, IMAGE, "sh"),
        RECORD.model_copy(update={"id": "xyz-xyz"}),
    )
    assert isinstance(other, dict)
    assert differing(mine, other) == ["salt"]


def test_ignored_names_do_not_count() -> None:
    spec = spec_of(cache=co.Cache(ignore=["A", "T"]))
    given = {"env": {"A": "1"}, "secrets": {"T": ("user", 1.0)}}
    assert fields(spec) == fields(spec, **given)


def test_a_cached_command_gets_only_the_secrets_that_it_names() -> None:
    assert spec_of().secrets == ()
    assert spec_of(secrets=["T"]).secrets == ("T",)
    assert spec_of(cache=False).secrets is None


def test_code_limits_the_files_that_count() -> None:
    spec = spec_of(code=["src/", "*.toml", "a/**/x.py"])
    files = {"src/a.py": "1", "b.toml": "1", "docs/c.md": "1", "a/b/c/x.py": "1"}

    def code(**changes: str) -> str:
        return fields(spec, files={**files, **changes})["code"]

    assert code() == code(**{"docs/c.md": "2"})
    for name in ("src/a.py", "b.toml", "a/b/c/x.py"):
        assert code() != code(**{name: "2"}), name


def test_a_field_that_cannot_be_computed_switches_the_cache_off() -> None:
    unknown = Inputs("x", {}, {}, ImageContent("x", None))
    assert isinstance(rules.fields_of(spec_of(), unknown, RECORD), str)
    coded = Inputs("x", {}, {}, IMAGE, files=None)
    assert isinstance(rules.fields_of(spec_of(code=["a"]), coded, RECORD), str)


# ---- decisions ------------------------------------------------------------------------------


def entry(spec: NodeSpec | None = None, *, made: float = 0.0, trust: Trust = rules.NO_TRUST) -> Any:
    spec = spec_of() if spec is None else spec
    attempt = AttemptRecord(
        path="/node",
        number=1,
        state=State.DONE,
        started=made,
        ended=made,
        fingerprint=fingerprint(spec, spec.command, IMAGE, {}),
    )
    return rules.entry_of(fields(spec), attempt, RECORD, trust, 0)


def decide(spec: NodeSpec, entries: list[CacheEntry], others: Any = (), **more: Any) -> Any:
    reader = more.pop("reader", Trust("ann", with_secrets=True))
    return rules.decide(spec, fields(spec), entries, others, reader, now=100.0, **more)


def test_an_equal_entry_is_a_hit() -> None:
    assert decide(spec_of(), [entry()]).entry == entry()


def test_an_entry_with_other_fields_is_a_miss() -> None:
    """Keys that are equal by chance."""
    other = entry(spec_of(command="other")).model_copy(update={"key": entry().key})
    assert decide(spec_of(), [other]).entry is None


def test_an_old_entry_is_a_miss_with_its_age() -> None:
    young = spec_of(cache=co.Cache(max_age=50))
    assert decide(young, [entry(young, made=60.0)]).entry is not None
    missed = decide(young, [entry(young, made=40.0)])
    assert missed.entry is None
    assert missed.reason == "the entry of abc-def /node attempt 1 is older than 50s"


def test_a_forced_command_runs_and_is_stored() -> None:
    decision = decide(spec_of(), [entry()], forced="launched with --no-cache")
    assert (decision.entry, decision.reason) == (None, "launched with --no-cache")
    assert decision.fields == fields()


@pytest.mark.parametrize(
    "params", [{"command": "other"}, {"env": {"A": "1"}}, {"gpu": 1}, {"cache": co.Cache(salt="1")}]
)
def test_every_miss_names_a_field_that_changed_back_hits(params: Any) -> None:
    missed = decide(spec_of(**params), [], [entry()])
    (name,) = differing(fields(), fields(spec_of(**params)))
    assert missed.reason == f"differs from abc-def /node attempt 1: {name}"
    assert decide(spec_of(), [entry()], [entry()]).entry is not None


def test_the_nearest_entry_explains_a_miss() -> None:
    near, far = entry(spec_of(command="b")), entry(spec_of(command="b", gpu=1), made=9.0)
    missed = decide(spec_of(), [], [far, near])
    assert missed.nearest == near


def test_a_miss_names_files_and_secrets() -> None:
    spec = spec_of(secrets=["T"])
    now = fields(spec, secrets={"T": ("user", 2.0)}, image=IMAGE._replace(code="new"))
    missed = rules.decide(spec, now, [], [entry()], Trust("ann"), now=1.0)
    print_ = fingerprint(spec, spec.command, IMAGE._replace(code="new"), {"T": ("user", 2.0)})
    assert rules.codes_to_compare(missed, print_) == ("code", "new")
    named = rules.with_names(missed, print_, ["a.py", "b.py", "c.py", "d.py"])
    assert named.reason == (
        "differs from abc-def /node attempt 1: secrets (T), code (a.py, b.py, c.py and 1 more)"
    )


# ---- trust ----------------------------------------------------------------------------------


FORK = GitOrigin.model_validate(
    {"trigger": "x", "provider": "github", "repository": "a/b", "section": "s"}
    | {"url": "https://x/y", "branch": "b", "sha": "c", "untrusted": True}
)
READERS = {
    "ann": RECORD,
    "bob": RECORD.model_copy(update={"owner": "bob"}),
    "ann, changed by bob": RECORD.model_copy(
        update={"foreign_change": ForeignChange(by="bob", change="modify", time=1.0)}
    ),
    "a fork": RECORD.model_copy(update={"git": FORK}),
}


@pytest.mark.parametrize(
    ("secrets", "readers"),
    [
        ({}, set(READERS)),
        ({"T": ("org", 1.0)}, {"ann", "bob", "ann, changed by bob"}),
        ({"T": ("org prod", 1.0)}, {"ann", "bob", "ann, changed by bob"}),
        ({"T": ("user", 1.0)}, {"ann"}),
        ({"T": ("user prod", 1.0)}, {"ann"}),
        ({"T": ("user", 1.0), "S": ("org", 1.0)}, {"ann"}),
    ],
)
def test_entries_are_read_by_trusted_pipelines(secrets: Any, readers: set[str]) -> None:
    trust = rules.trust_of(RECORD, secrets)
    allowed = {
        name for name, each in READERS.items() if rules.may_read(trust, rules.reader_of(each))
    }
    assert allowed == readers
    made = entry(trust=trust)
    for name, record in READERS.items():
        decision = decide(spec_of(), [made], reader=rules.reader_of(record))
        assert (decision.entry is not None) == (name in readers)


def test_entries_for_different_users_have_different_keys() -> None:
    trusts = [Trust(), Trust(with_secrets=True), Trust("ann"), Trust("bob")]
    assert len({rules.key_of(fields(), trust) for trust in trusts}) == len(trusts)


# ---- the outcomes that are stored -----------------------------------------------------------


DONE = AttemptRecord(path="/node", number=1, state=State.DONE)


@pytest.mark.parametrize(
    ("changes", "record", "reason"),
    [
        ({}, RECORD, None),
        ({"outputs": OutputSummary(result=3, metrics=("a",))}, RECORD, None),
        ({"state": State.ERROR, "cause": Cause.EXIT_CODE}, RECORD, "it failed"),
        ({"state": State.KILLED, "cause": Cause.TIMEOUT}, RECORD, "it failed"),
        ({}, READERS["a fork"], "it runs a pull request from a fork"),
        (
            {"outputs": OutputSummary(artifacts=1)},
            RECORD,
            "it declared artifacts, which are files that the cache does not keep yet",
        ),
    ],
)
def test_outcomes_that_are_stored(changes: Any, record: PipelineRecord, reason: str | None) -> None:
    assert rules.not_stored(DONE.model_copy(update=changes), record) == reason


def test_processes_are_not_cached() -> None:
    record = RECORD.model_copy(update={"engine": "process"})
    assert rules.switched_off(record) is not None
    assert not rules.is_isolated(spec_of(), record)
    assert rules.is_isolated(spec_of(), RECORD)


# ---- streams --------------------------------------------------------------------------------


def test_long_output_keeps_its_end_with_a_note() -> None:
    assert rules.kept_output(b"all\n", 4, "x") == b"all\n"
    assert rules.kept_output(b"lf\nend\n", 100, "abc-def /node attempt 1") == (
        b"conducto: the first 96 bytes are in the output of abc-def /node attempt 1 only\nend\n"
    )


def test_streams_survive_packing() -> None:
    streams = {"result": b'{"x":1}', "stdout": bytes(range(256))}
    assert rules.unpack_streams(rules.pack_streams({**streams, "stderr": b""})) == streams
    with pytest.raises(ValueError, match="damaged"):
        rules.unpack_streams(b"nonsense")
