"""References to pipelines: @last, @failed, titles, ids and their beginnings."""

from collections.abc import Callable

import pytest
from tests.fakes.pipelines import MemoryPipelines
from tests.fakes.transport import InProcessTransport

from conducto.errors import UsageError
from conducto_cli.target import target
from conducto_cli.target.lookup import UnknownPipelineError, find_pipeline
from conducto_client import AgentUnreachableError, Client
from conducto_core.api.dispatch import Service
from conducto_core.run.model.records import Lifecycle
from conducto_core.run.model.states import Cause
from support.cli_trees import CountingPipelines, record, small_tree, view

OpenClient = Callable[[], Client]
Conducto = Callable[..., int]
Output = pytest.CaptureFixture[str]


def add(fake: MemoryPipelines, name: str, title: str = "t", **fields: object) -> None:
    fake.add(name, [view("/", "Serial"), view("/a")], record(name, title=title, **fields))


def found(open_client: OpenClient, reference: str) -> str:
    with open_client() as client:
        return find_pipeline(client, reference).pipeline.id


def error(open_client: OpenClient, reference: str) -> str:
    with pytest.raises(UsageError) as raised:
        found(open_client, reference)
    return str(raised.value)


def test_last_is_the_newest_that_is_not_archived(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    add(fake, "xyz-aaa")
    add(fake, "xyz-bbb", lifecycle=Lifecycle.ARCHIVED)

    assert found(open_client, "@last") == "xyz-aaa"


def test_failed_is_the_newest_that_failed(fake: CountingPipelines, open_client: OpenClient) -> None:
    for number, name in enumerate(["xyz-aaa", "xyz-bbb", "xyz-ccc"]):
        add(fake, name, created=100.0 + number)
    fake.finish("xyz-aaa", "/a", Cause.EXIT_CODE)
    fake.finish("xyz-bbb", "/a", Cause.KILLED_BY_USER)
    fake.finish("xyz-ccc", "/a")

    assert found(open_client, "@failed") == "xyz-bbb"


def test_failed_without_a_failure_is_an_error(open_client: OpenClient) -> None:
    assert error(open_client, "@failed").startswith("@failed: no pipeline has failed")


def test_unknown_shortcut_names_the_nearest(open_client: OpenClient) -> None:
    assert error(open_client, "@lst") == "no pipeline '@lst'; did you mean '@last'?"


def test_every_command_accepts_a_shortcut(
    fake: CountingPipelines, conducto: Conducto, capsys: Output
) -> None:
    add(fake, "xyz-aaa")

    assert conducto("tree", "@last") == 0
    assert conducto("skip", "@last", "/a") == 0
    assert [name for name, _ in fake.actions] == ["xyz-aaa"]


def test_a_unique_title_selects_its_pipeline(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    add(fake, "xyz-aaa", "Nightly build")
    add(fake, "xyz-bbb", "Nightly build 2")

    assert found(open_client, "Nightly build") == "xyz-aaa"


def test_an_archived_pipeline_counts_only_if_no_other_has_the_title(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    add(fake, "xyz-aaa", "nightly", lifecycle=Lifecycle.ARCHIVED)
    assert found(open_client, "nightly") == "xyz-aaa"

    add(fake, "xyz-bbb", "nightly")
    assert found(open_client, "nightly") == "xyz-bbb"


def test_an_ambiguous_title_lists_the_candidates(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    for number in range(12):
        add(fake, f"xyz-{number:03}", "night\x1b[2Jly", created=1.0)

    lines = error(open_client, "night\x1b[2Jly").splitlines()

    assert "could be any of 12 pipelines; give the ID of one:" in lines[0]
    assert lines[1].split()[:2] == ["xyz-011", "pending"]
    assert "days ago" in lines[1]
    assert "\x1b" not in lines[1]
    assert lines[-1] == "  and 2 more"
    assert len(lines) == 12


def test_a_title_that_begins_another_id_is_ambiguous(
    fake: CountingPipelines, open_client: OpenClient
) -> None:
    add(fake, "etl-aaa", "nightly")
    add(fake, "xyz-aaa", "etl")

    assert "could be any of 2 pipelines" in error(open_client, "etl")
    assert found(open_client, "etl-a") == "etl-aaa"


def test_an_exact_id_wins_over_a_title(fake: CountingPipelines, open_client: OpenClient) -> None:
    add(fake, "xyz-aaa", "abc-def")

    assert found(open_client, "abc-def") == "abc-def"


@pytest.mark.parametrize("reference", ["", " ", "x" * 65, "\x1b[2J"])
def test_an_unusable_reference_is_an_error(reference: str, open_client: OpenClient) -> None:
    assert error(open_client, reference).startswith("no pipeline")


@pytest.fixture
def both() -> "tuple[MemoryPipelines, MemoryPipelines]":
    local, cloud = MemoryPipelines(), MemoryPipelines()
    local.add("abc-def", small_tree(), record("abc-def", title="here", created=100.0))
    cloud.add("uvw-xyz", small_tree(), record("uvw-xyz", title="there", created=200.0))
    return local, cloud


def is_in_cloud(both: "tuple[MemoryPipelines, MemoryPipelines]", reference: str) -> bool:
    first, second = (InProcessTransport(Service(each)) for each in both)
    with first, second:
        return target.is_in_cloud(reference, lambda: Client(first), lambda: Client(second))


def test_last_is_the_newest_of_both_targets(
    both: "tuple[MemoryPipelines, MemoryPipelines]",
) -> None:
    assert is_in_cloud(both, "@last")

    both[0].add("abc-new", small_tree(), record("abc-new", created=300.0))

    assert not is_in_cloud(both, "@last")


def test_a_title_must_be_unique_in_both_targets(
    both: "tuple[MemoryPipelines, MemoryPipelines]",
) -> None:
    assert is_in_cloud(both, "there")
    assert not is_in_cloud(both, "here")

    both[1].add("uvw-two", small_tree(), record("uvw-two", title="here", mode="cloud"))

    with pytest.raises(UsageError, match="could be any of 2 pipelines") as raised:
        is_in_cloud(both, "here")
    assert ["uvw-two", "cloud"] in [line.split()[:2] for line in str(raised.value).splitlines()]


def test_last_of_one_target_is_used_while_the_other_is_unreachable(
    both: "tuple[MemoryPipelines, MemoryPipelines]", capsys: Output
) -> None:
    def away() -> Client:
        raise AgentUnreachableError("no network")

    with InProcessTransport(Service(both[0])) as transport:
        assert not target.is_in_cloud("@last", lambda: Client(transport), away)

    expected = "conducto: @last: it was not looked for in the cloud: no network\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("reference", ["zzz", "/build", "@failed", ""])
def test_reference_to_no_pipeline_has_an_error_of_its_own(
    reference: str, open_client: OpenClient
) -> None:
    with open_client() as client, pytest.raises(UnknownPipelineError):
        find_pipeline(client, reference)
