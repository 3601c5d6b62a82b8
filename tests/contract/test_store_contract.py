"""Every store keeps the same promises: the SQLite adapter and the shipped fake."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.store import MemoryStore

from conducto_core.run.model.records import (
    AttemptRecord,
    ImageRecord,
    ImageState,
    Lifecycle,
    NodeChange,
    NodeState,
    PipelineRecord,
)
from conducto_core.run.model.states import Cause, NodeType, State, StopReason
from conducto_local.store.port import (
    DuplicatePipelineError,
    HistoryError,
    Redefinition,
    Store,
    UnknownPipelineError,
    WriteBatch,
)
from conducto_local.store.sqlite import PAGE, SqliteStore

LONG = "echo " + "x" * 500


@pytest.fixture(params=["memory", "sqlite"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store: Store = (
        MemoryStore() if request.param == "memory" else SqliteStore.open(tmp_path / "store.sqlite")
    )
    yield store
    store.close()


@pytest.fixture
def store(empty: Store) -> Store:
    empty.create(PipelineRecord(id="abc", title="Train"), b"the tree")
    return empty


def change(seq: int, path: str = "/a", state: State = State.QUEUED) -> NodeChange:
    return NodeChange(seq=seq, time=seq / 8, path=path, type=NodeType.EXEC, state=state)


def attempt(path: str = "/a", number: int = 1, state: State = State.RUNNING) -> AttemptRecord:
    return AttemptRecord(path=path, number=number, state=state)


def ended(path: str = "/a", number: int = 1, end: float = 9.0) -> AttemptRecord:
    return AttemptRecord(path=path, number=number, state=State.DONE, exit_code=0, ended=end)


def test_a_new_store_has_no_pipelines(empty: Store) -> None:
    assert empty.records() == []


def test_a_record_comes_back_as_it_was_given(empty: Store) -> None:
    record = PipelineRecord(
        id="abc",
        title="Zürich 🚆",
        doc="about\0it",
        tags=("nightly", "a b"),
        owner="ada",
        engine="process",
        armed=True,
        run_at=1.25,
        lifecycle=Lifecycle.SLEEPING,
        program="/x/pipeline.py",
        created=1764547200.123456,
    )

    empty.create(record, b"")

    assert empty.records() == [record]


def test_a_definition_comes_back_byte_for_byte(empty: Store) -> None:
    definition = bytes(range(256)) * 9

    empty.create(PipelineRecord(id="abc", title="t"), definition)

    assert empty.definition("abc") == definition


def test_records_come_in_the_order_of_their_creation(store: Store) -> None:
    store.create(PipelineRecord(id="aaa", title="second"), b"")

    assert [record.id for record in store.records()] == ["abc", "aaa"]
    assert store.ids() == {"abc", "aaa"}


def test_an_id_can_be_taken_only_once(store: Store) -> None:
    with pytest.raises(DuplicatePipelineError, match="'abc' already exists in the store"):
        store.create(PipelineRecord(id="abc", title="other"), b"other tree")

    assert store.definition("abc") == b"the tree"


def test_a_record_can_be_replaced(store: Store) -> None:
    changed = PipelineRecord(id="abc", title="Train", lifecycle=Lifecycle.ARCHIVED)

    store.put_record(changed)

    assert store.records() == [changed]


def test_the_definition_stays_when_the_record_is_replaced(store: Store) -> None:
    store.put_record(PipelineRecord(id="abc", title="other"))

    assert store.definition("abc") == b"the tree"


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.definition("nope"),
        lambda store: store.put_record(PipelineRecord(id="nope", title="")),
        lambda store: store.delete("nope"),
        lambda store: store.save("nope", WriteBatch()),
        lambda store: store.nodes("nope"),
        lambda store: store.attempts("nope"),
        lambda store: store.newest_attempts("nope"),
        lambda store: store.period("nope", "/"),
        lambda store: store.changes("nope", 0, 10),
        lambda store: store.last_seq("nope"),
        lambda store: store.generated("nope"),
        lambda store: store.images("nope"),
    ],
    ids=[
        "definition",
        "put_record",
        "delete",
        "save",
        "nodes",
        "attempts",
        "newest_attempts",
        "period",
        "changes",
        "last_seq",
        "generated",
        "images",
    ],
)
def test_an_unknown_pipeline_is_named(store: Store, call) -> None:
    with pytest.raises(UnknownPipelineError, match="'nope' is not in the store"):
        call(store)


def test_a_node_comes_back_as_it_was_given(store: Store) -> None:
    node = NodeState(
        path="/a b/ü",
        state=State.KILLED,
        skipped=True,
        cause=Cause.OUT_OF_MEMORY,
        warning=True,
        attempt=7,
        tries=3,
        expired=True,
        mem=0.5,
        stop_reason=StopReason.KILL,
    )

    store.save("abc", WriteBatch(nodes=[node]))

    assert list(store.nodes("abc")) == [node]


def test_only_nodes_that_a_turn_named_are_kept(store: Store) -> None:
    store.save("abc", WriteBatch(nodes=[NodeState(path="/a")]))

    assert [node.path for node in store.nodes("abc")] == ["/a"]


def test_node_has_its_last_saved_state(store: Store) -> None:
    running, done = (NodeState(path="/a", state=state) for state in (State.RUNNING, State.DONE))

    store.save("abc", WriteBatch(nodes=[running]))
    store.save("abc", WriteBatch(nodes=[done, running, done]))

    assert list(store.nodes("abc")) == [done]


def test_an_attempt_comes_back_as_it_was_given(store: Store) -> None:
    given = AttemptRecord(
        path="/a",
        number=2,
        state=State.ERROR,
        cause=Cause.EXIT_CODE,
        message="it broke",
        exit_code=137,
        command=LONG,
        env={"A": "1", "LONG": "y" * 200, "ü": "ß\n"},
        image="conducto_extended:" + "0" * 64,
        container="c1",
        position=0,
        cpu=0.5,
        mem=1.5,
        queued=1.1,
        image_ready=1.4,
        admitted=1.9,
        started=2.2,
        ended=3.3,
        peak_memory=1 << 40,
        output_bytes=1 << 41,
        snapshot="conducto_snapshot:abc-0-2",
        fingerprint="a b c",
    )

    store.save("abc", WriteBatch(attempts=[given]))

    assert list(store.attempts("abc")) == [given]


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 1_000_000])
def test_commands_of_any_length_come_back(store: Store, length: int) -> None:
    given = attempt().model_copy(update={"command": "é" * length})

    store.save("abc", WriteBatch(attempts=[given]))

    assert list(store.attempts("abc")) == [given]


def test_attempts_that_share_a_command_each_keep_it(store: Store) -> None:
    given = [
        AttemptRecord(path=path, number=1, state=State.DONE, command=LONG, env={"A": "z" * 99})
        for path in ("/a", "/b")
    ]

    store.save("abc", WriteBatch(attempts=given[:1]))
    store.save("abc", WriteBatch(attempts=given[1:]))

    assert list(store.attempts("abc")) == given


def test_an_attempt_is_followed_up_to_its_end(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[attempt(state=State.QUEUED)]))
    store.save("abc", WriteBatch(attempts=[attempt(state=State.RUNNING), ended()]))

    assert list(store.attempts("abc")) == [ended()]


def test_every_attempt_of_a_node_is_kept_in_order(store: Store) -> None:
    given = [ended(number=number, end=number) for number in range(1, 12)]

    for each in reversed(given):
        store.save("abc", WriteBatch(attempts=[each]))

    assert list(store.attempts("abc", "/a")) == given


def test_attempts_of_a_node_leave_out_its_neighbours_and_descendants(store: Store) -> None:
    paths = ["/a", "/a/b", "/a-", "/a0", "/ab", "/"]

    store.save("abc", WriteBatch(attempts=[attempt(path) for path in paths]))

    assert list(store.attempts("abc", "/a")) == [attempt("/a")]


def test_a_node_that_never_ran_has_no_attempts(store: Store) -> None:
    assert list(store.attempts("abc", "/never")) == []


def test_ended_attempt_cannot_end_again(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[ended(end=9.0)]))

    with pytest.raises(HistoryError, match="/a: an attempt of pipeline 'abc' has ended"):
        store.save("abc", WriteBatch(attempts=[ended(end=10.0)]))

    assert list(store.attempts("abc")) == [ended(end=9.0)]


def test_an_ended_attempt_cannot_run_again(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[ended()]))

    with pytest.raises(HistoryError):
        store.save("abc", WriteBatch(attempts=[attempt(state=State.RUNNING)]))


def test_attempt_that_ends_within_a_batch_cannot_end_again_in_it(store: Store) -> None:
    with pytest.raises(HistoryError):
        store.save("abc", WriteBatch(attempts=[ended(end=1.0), ended(end=2.0)]))


def test_an_ended_attempt_may_learn_more_about_itself(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[ended()]))
    richer = ended().model_copy(update={"peak_memory": 5, "message": "close to the limit"})

    store.save("abc", WriteBatch(attempts=[richer]))

    assert list(store.attempts("abc")) == [richer]


def test_snapshots_come_by_their_age_and_those_that_have_not_ended_last(store: Store) -> None:
    kept = [("/a", 1, 5.0), ("/b", 1, None), ("/c", 1, 4.0)]
    given = [
        AttemptRecord(path=path, number=n, state=State.RUNNING, ended=end, snapshot=path)
        for path, n, end in kept
    ]

    store.save("abc", WriteBatch(attempts=[*given, ended("/none")]))

    assert [each.path for each in store.snapshots("abc")] == ["/c", "/a", "/b"]


def test_an_ended_attempt_may_lose_its_snapshot(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[ended().model_copy(update={"snapshot": "s"})]))

    store.save("abc", WriteBatch(attempts=[ended()]))

    assert store.snapshots("abc") == []


def test_newest_attempts_have_the_last_number_of_each_node(store: Store) -> None:
    given = [ended("/x", n) for n in (1, 2, 3)] + [ended("/x/y", 1), ended("/x0"), ended("/z")]

    store.save("abc", WriteBatch(attempts=given))

    assert store.newest_attempts("abc", "/x") == {"/x": 3, "/x/y": 1}


def test_the_period_of_a_group_is_that_of_the_newest_attempts_below_it(store: Store) -> None:
    def ran(path: str, number: int, started: float, end: float) -> AttemptRecord:
        times = {"started": started, "ended": end}
        return ended(path, number).model_copy(update=times)

    given = [ran("/x/a", 1, 1, 2), ran("/x/a", 2, 20, 30), ran("/x/b/c", 1, 10, 25)]
    store.save("abc", WriteBatch(attempts=[*given, ran("/x", 1, 0, 99), ran("/x0", 1, 0, 99)]))

    assert store.period("abc", "/x") == (10, 30)
    assert store.period("abc", "/x/b") == (10, 25)
    assert store.period("abc", "/x", ["/x/a", "/other"]) == (10, 25)
    assert store.period("abc", "/nothing") == (None, None)


def test_the_period_of_a_group_begins_with_the_wait_of_its_first_attempt(store: Store) -> None:
    times = {"queued": 5.0, "started": 20.0, "ended": 30.0}
    given = [ended("/x/a", 1).model_copy(update=times)]
    store.save("abc", WriteBatch(attempts=given))

    assert store.period("abc", "/x") == (5, 30)


def test_newest_attempts_of_the_root_are_those_of_all_nodes(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[ended("/"), ended("/x/y")]))

    assert store.newest_attempts("abc") == {"/": 1, "/x/y": 1}


def test_a_change_comes_back_as_it_was_given(store: Store) -> None:
    given = NodeChange(
        seq=1,
        time=1764547200.123456,
        path="/a",
        type=NodeType.PARALLEL,
        state=State.ERROR,
        skipped=True,
        cause=Cause.EXIT_CODE,
        warning=True,
        attempt=4,
        exit_code=2,
    )

    store.save("abc", WriteBatch(changes=[given]))

    assert store.changes("abc", 0, 10) == [given]


def test_changes_are_read_after_a_cursor_in_order(store: Store) -> None:
    store.save("abc", WriteBatch(changes=[change(seq) for seq in range(1, 13)]))

    found = store.changes("abc", after=8, limit=3)

    assert [each.seq for each in found] == [9, 10, 11]


def test_no_changes_come_after_the_last(store: Store) -> None:
    store.save("abc", WriteBatch(changes=[change(1)]))

    assert store.changes("abc", after=1, limit=3) == []


def test_the_last_number_is_zero_before_anything_happens(store: Store) -> None:
    assert store.last_seq("abc") == 0


def test_the_last_number_goes_with_the_changes(store: Store) -> None:
    store.save("abc", WriteBatch(changes=[change(1), change(2)]))
    store.save("abc", WriteBatch(changes=[change(3)]))

    assert store.last_seq("abc") == 3


@pytest.mark.parametrize("seqs", [[2], [4], [3, 3], [3, 5]], ids=["again", "gap", "twice", "hole"])
def test_change_with_a_gap_is_rejected(store: Store, seqs: list[int]) -> None:
    store.save("abc", WriteBatch(changes=[change(1), change(2)]))

    with pytest.raises(HistoryError, match="is out of sequence"):
        store.save("abc", WriteBatch(changes=[change(seq, "/theirs") for seq in seqs]))

    assert store.changes("abc", 0, 10) == [change(1), change(2)]


def test_a_turn_that_is_refused_changes_nothing(store: Store) -> None:
    turn = WriteBatch(
        nodes=[NodeState(path="/a", state=State.DONE)],
        attempts=[ended().model_copy(update={"command": LONG})],
        changes=[change(7)],
        generated={"/lazy": b"tree"},
        images=[ImageRecord(name="i")],
        record=PipelineRecord(id="abc", title="other"),
    )

    with pytest.raises(HistoryError):
        store.save("abc", turn)

    assert not list(store.nodes("abc"))
    assert not list(store.attempts("abc"))
    assert not store.generated("abc")
    assert not store.images("abc")
    assert store.records()[0].title == "Train"


def test_a_refused_turn_can_be_mended_and_saved(store: Store) -> None:
    given = attempt().model_copy(update={"command": LONG})
    with pytest.raises(HistoryError):
        store.save("abc", WriteBatch(attempts=[given], changes=[change(7)]))

    store.save("abc", WriteBatch(attempts=[given], changes=[change(1)]))

    assert list(store.attempts("abc")) == [given]


def test_the_turns_of_several_pipelines_are_saved_together_or_not_at_all(store: Store) -> None:
    store.create(PipelineRecord(id="two", title=""), b"")

    with pytest.raises(HistoryError):
        store.save_all(
            {"abc": WriteBatch(changes=[change(1)]), "two": WriteBatch(changes=[change(2)])}
        )

    assert store.last_seq("abc") == 0


def test_pipelines_with_equal_names_are_separate(store: Store) -> None:
    store.create(PipelineRecord(id="two", title=""), b"")
    turn = WriteBatch(attempts=[ended()], changes=[change(1)], images=[ImageRecord(name="i")])

    store.save_all({"abc": turn, "two": turn})

    assert list(store.attempts("two")) == list(store.attempts("abc")) == [ended()]


def test_a_record_of_another_pipeline_is_refused(store: Store) -> None:
    store.create(PipelineRecord(id="two", title="two"), b"")

    with pytest.raises(ValueError, match="'two' is in a batch of 'abc'"):
        store.save("abc", WriteBatch(record=PipelineRecord(id="two", title="")))


def test_generated_tree_is_read_back(store: Store) -> None:
    store.save("abc", WriteBatch(generated={"/l/Execute": b"tree\0"}))

    assert store.generated("abc") == {"/l/Execute": b"tree\0"}


def test_redefinition_replaces_the_tree_and_keeps_the_history(store: Store) -> None:
    attempt = AttemptRecord(path="/a", number=1, state=State.DONE, ended=2.0)
    old = WriteBatch(
        nodes=[NodeState(path="/a", state=State.DONE, attempt=1), NodeState(path="/b")],
        attempts=[attempt],
        generated={"/l": b"old", "/m": b"kept"},
        edits={"/a": {"command": "edited"}},
    )
    store.save("abc", old)

    new = Redefinition(b"new", {"/m": b"kept"}, b"plan")
    assert store.plan("abc") is None
    store.save("abc", WriteBatch(nodes=[NodeState(path="/c")], redefinition=new))

    assert store.definition("abc") == b"new"
    assert store.plan("abc") == b"plan"
    assert store.generated("abc") == {"/m": b"kept"}
    assert store.edits("abc") == {}
    assert [node.path for node in store.nodes("abc")] == ["/c"]
    assert list(store.attempts("abc")) == [attempt]


def test_generated_trees_come_outer_before_inner(store: Store) -> None:
    inner, outer = "/l/Execute/m/Execute", "/l/Execute"

    store.save("abc", WriteBatch(generated={inner: b"i", outer: b"o"}))

    assert list(store.generated("abc")) == [outer, inner]


def test_discarded_tree_is_deleted_with_its_nested_trees(store: Store) -> None:
    store.save(
        "abc", WriteBatch(generated={"/l/Execute": b"o", "/l/Execute/m": b"i", "/l/Other": b"x"})
    )

    store.save("abc", WriteBatch(generated={"/l/Execute": None}))

    assert store.generated("abc") == {"/l/Other": b"x"}


@pytest.mark.parametrize("tree", [b"new", None], ids=["replaced", "discarded"])
def test_states_of_a_tree_go_with_it(store: Store, tree: bytes | None) -> None:
    paths = ["/", "/l", "/l/Execute", "/l/Execute/a", "/l/Execute/a/b", "/l/Execute0", "/z"]
    store.save("abc", WriteBatch(nodes=[NodeState(path=path, state=State.DONE) for path in paths]))

    store.save("abc", WriteBatch(generated={"/l/Execute": tree}))

    left = [node.path for node in store.nodes("abc")]
    assert left == ["/", "/l", "/l/Execute", "/l/Execute0", "/z"]


def test_states_of_a_new_tree_may_come_with_it(store: Store) -> None:
    store.save("abc", WriteBatch(nodes=[NodeState(path="/l/a", state=State.DONE)]))
    new = NodeState(path="/l/a", state=State.QUEUED)

    store.save("abc", WriteBatch(generated={"/l": b"new"}, nodes=[new]))

    assert list(store.nodes("abc")) == [new]


def test_history_of_a_discarded_tree_stays(store: Store) -> None:
    store.save("abc", WriteBatch(attempts=[ended("/l/a")], changes=[change(1, "/l/a")]))

    store.save("abc", WriteBatch(generated={"/l": None}))

    assert list(store.attempts("abc", "/l/a")) == [ended("/l/a")]
    assert store.changes("abc", 0, 9) == [change(1, "/l/a")]


def test_a_generated_root_replaces_everything_below_it(store: Store) -> None:
    store.save("abc", WriteBatch(nodes=[NodeState(path="/", attempt=1), NodeState(path="/a")]))

    store.save("abc", WriteBatch(generated={"/": b"tree"}))

    assert [node.path for node in store.nodes("abc")] == ["/"]


def test_images_keep_their_order_and_their_newest_state(store: Store) -> None:
    first, second = ImageRecord(name="b"), ImageRecord(name="a", error="no\nway")
    built = ImageRecord(name="b", state=ImageState.DONE, reference="r", started=1.5, ended=2.5)

    store.save("abc", WriteBatch(images=[first, second]))
    store.save("abc", WriteBatch(images=[built]))

    assert store.images("abc") == [built, second]


def test_a_deleted_pipeline_leaves_nothing_and_its_id_is_free(store: Store) -> None:
    turn = WriteBatch(
        nodes=[NodeState(path="/a")],
        attempts=[ended()],
        changes=[change(1)],
        generated={"/l": b"x"},
        images=[ImageRecord(name="i")],
    )
    store.save("abc", turn)

    store.delete("abc")
    store.create(PipelineRecord(id="abc", title="new"), b"new")

    assert [record.title for record in store.records()] == ["new"]
    assert not list(store.nodes("abc"))
    assert not list(store.attempts("abc"))
    assert store.last_seq("abc") == 0
    assert store.generated("abc") == {}
    assert store.images("abc") == []


def test_deleting_a_pipeline_leaves_the_others_alone(store: Store) -> None:
    store.create(PipelineRecord(id="two", title="two"), b"2")
    kept = ended().model_copy(update={"command": LONG})
    store.save_all({"abc": WriteBatch(attempts=[kept]), "two": WriteBatch(attempts=[kept])})

    store.delete("abc")

    assert list(store.attempts("two")) == [kept]


def test_record_saved_after_a_deletion_keeps_its_texts(store: Store) -> None:
    kept = ended().model_copy(update={"command": LONG, "env": {"A": "z" * 99}})
    store.save("abc", WriteBatch(attempts=[kept]))
    store.delete("abc")
    store.create(PipelineRecord(id="abc", title=""), b"")

    store.save("abc", WriteBatch(attempts=[kept]))

    assert list(store.attempts("abc")) == [kept]


def test_more_rows_than_a_page_come_once_each(store: Store) -> None:
    number = 2 * PAGE + 1
    paths = [f"/{i:05}" for i in range(number)]
    store.save(
        "abc",
        WriteBatch(
            nodes=[NodeState(path=path, attempt=1) for path in paths],
            attempts=[attempt(path) for path in paths],
        ),
    )

    assert [node.path for node in store.nodes("abc")] == paths
    assert [each.path for each in store.attempts("abc")] == paths


def test_pages_do_not_split_the_attempts_of_one_node(store: Store) -> None:
    given = [attempt(number=number) for number in range(1, PAGE + 3)]

    store.save("abc", WriteBatch(attempts=given))

    assert list(store.attempts("abc", "/a")) == given


def test_a_reader_half_way_through_does_not_hinder_a_writer(store: Store) -> None:
    store.save("abc", WriteBatch(nodes=[NodeState(path=f"/{i:05}") for i in range(PAGE + 1)]))
    reader = store.nodes("abc")
    next(reader)

    store.save("abc", WriteBatch(nodes=[NodeState(path="/z", state=State.DONE)]))

    assert len(list(store.nodes("abc"))) == PAGE + 2


_TURNS = st.lists(
    st.tuples(
        st.sampled_from(["/a", "/a/b", "/a/b/c", "/ab"]),
        st.sampled_from(list(State)),
        st.integers(1, 3),
        st.sampled_from([None, 1.0, 2.0]),
        st.sampled_from([{}, {"/a": b"t"}, {"/a/b": None}, {"/a/b": b"u", "/a": b"v"}]),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(steps=_TURNS)
def test_fake_and_real_agree_on_any_sequence_of_turns(
    steps, tmp_path_factory: pytest.TempPathFactory
) -> None:
    real = SqliteStore.open(tmp_path_factory.mktemp("store") / "store.sqlite")
    stores: list[Store] = [real, MemoryStore()]

    seen = [_outcomes(store, steps) for store in stores]

    real.close()
    assert seen[0] == seen[1]


def _outcomes(store: Store, steps) -> list[object]:
    store.create(PipelineRecord(id="abc", title=""), b"")
    refused = []
    for path, state, number, end, trees in steps:
        turn = WriteBatch(
            nodes=[NodeState(path=path, state=state)],
            attempts=[AttemptRecord(path=path, number=number, state=state, ended=end)],
            changes=[change(store.last_seq("abc") + 1, path, state)],
            generated=trees,
        )
        try:
            store.save("abc", turn)
            refused.append(False)
        except HistoryError:
            refused.append(True)
    return [
        refused,
        list(store.nodes("abc")),
        list(store.attempts("abc")),
        store.changes("abc", 0, 99),
        store.generated("abc"),
        store.newest_attempts("abc", "/a"),
    ]
