"""``--into ID``: the printed plan, the question, and the request."""

from collections.abc import Callable

import pytest

from conducto.script.flags import Flags
from conducto.tree.launch import LaunchOptions
from conducto_cli.launch.into import continue_pipeline, with_kept
from conducto_cli.launch.local import request_of
from conducto_client import Client
from conducto_core.api.serve import serves
from conducto_core.programs.model import ContinuePlan, ContinueRequest, Fate, NodePlan
from conducto_core.run.model.params import PipelineParams
from conducto_core.run.operations import CONTINUE
from support.cli_trees import CountingPipelines, record, small_tree

OpenClient = Callable[[], Client]
Output = pytest.CaptureFixture[str]
FORM = {"nodes": [{"title": "T"}], "edges": [], "images": {}}
NODES = (
    NodePlan(path="/build", fate=Fate.KEPT),
    NodePlan(path="/test", fate=Fate.RUNS, reason="after /build/image, which changed"),
    NodePlan(path="/slow", fate=Fate.SKIPPED),
)
PLAN = """\
abc-def: demo.py
  kept     /build
  runs     /test   after /build/image, which changed
  skipped  /slow
  removed  /old
3 commands: 1 kept, 1 runs, 1 skipped, 1 removed
Data files are kept and not compared.
"""


class ContinuingPipelines(CountingPipelines):
    """Pipelines with a fixed plan; remembers the requests."""

    nodes = NODES

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, ContinueRequest]] = []

    @serves(CONTINUE)
    async def continue_pipeline(
        self, params: PipelineParams, request: ContinueRequest
    ) -> ContinuePlan:
        self.requests.append((params.id, request))
        summary = await self.get_pipeline(params)
        return ContinuePlan(
            pipeline=summary, nodes=self.nodes, removed=("/old",), preview=request.preview
        )


@pytest.fixture
def fake() -> ContinuingPipelines:
    pipelines = ContinuingPipelines()
    pipelines.add("abc-def", small_tree(), record())
    return pipelines


def into(open_client: OpenClient, *, response: bool = True, **fields: object) -> int:
    options = LaunchOptions(into="abc", **fields)
    request = request_of(FORM, options)
    return continue_pipeline(open_client, request, options, lambda _: response)


def test_plan_is_printed_and_nothing_changes(
    fake: ContinuingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    assert into(open_client, plan=True, fresh=True) == 0

    assert capsys.readouterr().out == PLAN
    assert [(one, r.preview, r.fresh) for one, r in fake.requests] == [("abc-def", True, True)]


def test_plan_offers_to_keep_commands_that_differ_only_in_their_secrets(
    fake: ContinuingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    reason = "secrets changed: TOKEN"
    fake.nodes = (NodePlan(path="/build", fate=Fate.RUNS, reason=reason),)

    assert into(open_client, plan=True) == 0
    assert into(open_client, keep_secrets=True, response=False) == 1

    out = capsys.readouterr().out
    assert "/build  secrets changed: TOKEN" in " ".join(out.split(" "))
    assert "to keep commands nevertheless: --keep-secrets" in out
    assert [request.keep_secrets for _, request in fake.requests] == [False, True]


def test_confirmed_plan_replaces_the_tree(
    fake: ContinuingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    assert into(open_client) == 0

    assert [request.preview for _, request in fake.requests] == [True, False]
    assert [request.seq for _, request in fake.requests] == [None, 0]
    assert capsys.readouterr().out == (
        f"{PLAN}pipeline abc-def\npending; start it: conducto run abc-def\n"
    )


@pytest.mark.parametrize("confirmed", [True, False])
def test_images_are_brought_to_the_cloud_after_the_confirmation(
    fake: ContinuingPipelines, open_client: OpenClient, confirmed: bool
) -> None:
    requests: list[int] = []
    options = LaunchOptions(into="abc")

    continue_pipeline(
        open_client,
        request_of(FORM, options),
        options,
        lambda _: confirmed,
        lambda: requests.append(len(fake.requests)),
    )

    assert requests == ([1] if confirmed else [])


def test_plan_without_confirmation_changes_nothing(
    fake: ContinuingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    assert into(open_client, response=False) == 1

    assert [request.preview for _, request in fake.requests] == [True]
    assert capsys.readouterr().out == PLAN


def kept(form: dict[str, object], **given: object) -> tuple[object, ...]:
    """Return the title, doc, tags and retention of a request to continue a pipeline."""
    old = record(title="nightly-x", doc="hello", tags=("q", "w"), retention=30)
    options = LaunchOptions(into="abc", **given)
    request = with_kept(request_of({"nodes": [form]}, options), options, old)
    return request.title, request.doc, request.tags, request.retention


def test_title_doc_tags_and_retention_are_kept() -> None:
    assert kept({}) == ("nightly-x", "hello", ("q", "w"), 30)


def test_given_title_doc_tags_and_retention_replace_those_of_the_pipeline() -> None:
    given = {"title": "T", "doc": "", "tags": ["a"]}

    assert kept(given, retention=7) == ("T", "", ("a",), 7)
    assert kept({}, tags=[], retention=0) == ("nightly-x", "hello", (), 0)


def test_plan_and_replacement_keep_tags_and_retention(
    fake: ContinuingPipelines, open_client: OpenClient
) -> None:
    fake.add("abc-def", small_tree(), record(tags=("q",), retention=30))

    into(open_client)

    sent = [(request.launch.tags, request.launch.retention) for _, request in fake.requests]
    assert sent == [(("q",), 30)] * 2


def test_long_plan_is_shortened_before_the_question(
    fake: ContinuingPipelines, open_client: OpenClient, capsys: Output
) -> None:
    fake.nodes = tuple(NodePlan(path=f"/n{n}", fate=Fate.KEPT) for n in range(50))

    into(open_client, response=False)

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 44
    assert "  and 11 more; --plan lists all" in printed


def flags(**given: object) -> Flags:
    made = Flags()
    made.given = given
    return made


def test_pipeline_id_of_the_original_client_means_into() -> None:
    assert flags(pipeline_id="abc-def").fields()["into"] == "abc-def"
    assert flags(pipeline_id="abc-def").mode() == "local"
    assert flags(into="abc-def", cloud=True).mode() == "cloud"


def test_flags_without_effect_are_named() -> None:
    assert flags(local=True, yes=True).ignored() == ["--yes is ignored without --into"]
    assert flags(into="a", engine="process").ignored() == [
        "--engine is ignored: a pipeline keeps its engine"
    ]
