"""Logs, blobs, secrets, tokens, organisations and connections: in memory and at AWS."""

from __future__ import annotations

import gzip
import io
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.fakes.cloud import (
    FakeBlobs,
    FakeLogs,
    FakeVault,
)

from chalicelib.api.store import TableConnections
from chalicelib.aws import table_keys
from chalicelib.aws.clients import Clients, Tags
from chalicelib.aws.dynamodb import DynamoTable
from chalicelib.aws.named_records import TableNamedRecords
from chalicelib.aws.s3 import S3Bucket
from chalicelib.aws.table_keys import LAST
from chalicelib.errors import ConflictError, ThrottledError
from chalicelib.logs.aws.chunks import EMPTY, End
from chalicelib.logs.aws.logs import MAX_INLINE_CHUNK, ChunkedLogs
from chalicelib.logs.handlers import lines_of
from chalicelib.logs.port import LogKey, LogStore, Tail, Uploaded
from chalicelib.people.port import (
    BillingPlan,
    Identity,
    InvitationRecord,
    Measured,
    SecretVault,
    Spender,
    VerifiedPerson,
)
from chalicelib.people.store.members import TableAuditLog, TablePeople, TableTokens
from chalicelib.people.store.organisations import TableIdentities, TableOrgs
from chalicelib.people.tokens import membership_digest
from chalicelib.remote.model import AgentKey
from chalicelib.run.port import Blobs
from chalicelib.secrets.aws import SecretsManager
from chalicelib.triggers.store import TableDeliveries
from conducto_core.billing.model import PipelineSpent
from conducto_core.billing.rules import Stored
from conducto_core.command.output import packed
from conducto_core.errors import RefusedError
from conducto_core.notifications.model import NotificationRule
from conducto_core.people.model import AuditEntry, AuditParams, Invitation, Member, Role
from conducto_core.people.rules import INHERITED, permissions_of
from conducto_core.triggers.model import Delivery, DeliveryResult, GitEvent, GitEventKind
from support.cloud.aws import BUCKET, TABLE, aws
from support.cloud.throttle import calls_of, throttled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.aws.clients import Clients

KEY = LogKey("abc", "/a b/ü", 1, "stdout")
ANN = Identity("acme", "ann", frozenset({"read", "launch"}))
WORKER = Identity("acme", "ann", frozenset({"worker"}), ("abc", "conducto-1", "w1"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clients() -> Iterator[Clients]:
    with aws() as made:
        yield made


@pytest.fixture
def table(clients: Clients) -> DynamoTable:
    return DynamoTable(clients, TABLE)


def either(request: pytest.FixtureRequest, fake: Any, real: Any) -> Any:
    """Return the fake, or what ``real`` makes of clients and a table."""
    if request.param == "fake":
        return fake
    return real(request.getfixturevalue("clients"), request.getfixturevalue("table"))


@pytest.fixture(params=["fake", "aws"])
def logs(request: pytest.FixtureRequest) -> LogStore:
    made: LogStore = either(request, FakeLogs(), lambda c, t: ChunkedLogs(t, S3Bucket(c, BUCKET)))
    return made


@pytest.fixture(params=["fake", "aws"])
def blobs(request: pytest.FixtureRequest) -> Blobs:
    made: Blobs = either(request, FakeBlobs(), lambda c, _t: S3Bucket(c, BUCKET))
    return made


@pytest.fixture(params=["fake", "aws"])
def vault(request: pytest.FixtureRequest) -> SecretVault:
    made: SecretVault = either(
        request, FakeVault(), lambda c, t: SecretsManager(c, t, "conducto/t/", Tags("t"))
    )
    return made


@pytest.fixture
def tokens(any_table: DynamoTable, clock: Clock) -> TableTokens:
    return TableTokens(any_table, clock)


@pytest.fixture
def orgs(any_table: DynamoTable, clock: Clock) -> TableOrgs:
    return TableOrgs(any_table, clock)


@pytest.fixture
def connections(any_table: DynamoTable, any_clients: Clients, clock: Clock) -> TableConnections:
    return TableConnections(any_table, any_clients, lambda: "https://socket.invalid/api", clock)


# ---- logs -------------------------------------------------------------------------------------


def test_output_of_an_attempt_without_output_is_empty(logs: LogStore) -> None:
    assert logs.size(KEY) == 0
    assert logs.read(KEY, 0, 100) == b""


def test_chunks_of_output_form_one_stream(logs: LogStore) -> None:
    logs.append(KEY, 0, b"hello ")
    logs.append(KEY, 6, b"world")
    logs.append(KEY, 11, b"!\n")

    assert logs.size(KEY) == 13
    assert logs.read(KEY, 0, 100) == b"hello world!\n"
    assert logs.read(KEY, 4, 5) == b"o wor"
    assert logs.read(KEY, 6, 5) == b"world"
    assert logs.read(KEY, 12, 5) == b"\n"
    assert logs.read(KEY, 13, 5) == b""
    assert logs.read(KEY, 99, 5) == b""
    assert logs.read(KEY, 0, 0) == b""


def test_repeated_chunk_changes_nothing(logs: LogStore) -> None:
    for _ in range(2):
        logs.append(KEY, 0, b"abc")
        logs.append(KEY, 3, b"def")

    assert logs.read(KEY, 0, 100) == b"abcdef"


def test_overlapping_chunk_adds_only_its_new_part(logs: LogStore) -> None:
    logs.append(KEY, 0, b"abcd")
    logs.append(KEY, 2, b"cdef")
    logs.append(KEY, 0, b"ab")

    assert logs.read(KEY, 0, 100) == b"abcdef"


def test_a_gap_in_output_is_refused(logs: LogStore) -> None:
    logs.append(KEY, 0, b"abc")

    with pytest.raises(ConflictError):
        logs.append(KEY, 4, b"x")

    assert logs.size(KEY) == 3


def test_streams_attempts_and_nodes_have_output_of_their_own(logs: LogStore) -> None:
    others = [
        KEY._replace(stream="stderr"),
        KEY._replace(attempt=2),
        KEY._replace(path="/a b"),
        KEY._replace(pipeline_id="abd"),
    ]
    logs.append(KEY, 0, b"mine")

    assert [logs.size(other) for other in others] == [0, 0, 0, 0]


def test_writers_at_the_same_time_make_neither_gap_nor_overlap(logs: LogStore) -> None:
    whole = bytes(range(65, 91)) * 2
    logs.append(KEY, 0, whole[:4])

    def write(length: int) -> None:
        logs.append(KEY, 4, whole[4 : 4 + length])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [3, 20, 7, 11, 20, 48, 1]))

    assert logs.read(KEY, 0, 1000) == whole[: logs.size(KEY)]
    assert logs.size(KEY) == 52


def is_end(tail: Tail | None, whole: bytes, lines: int) -> bool:
    """Return whether an end is that of a stream, and has more line ends or is all of it."""
    assert tail is not None
    start = tail.start
    assert (tail.size, tail.total) == (len(whole), whole.count(b"\n"))
    assert tail.ended == whole.count(b"\n", 0, start)
    assert tail.data in (b"", whole[start:])
    return start == 0 or whole.count(b"\n", start) > lines


def test_end_of_a_stream_has_the_wanted_lines(logs: LogStore) -> None:
    parts = [b"a", b"\n", b"b\nc\n", b"d", b"e\n\n\n", b"f\n", b"g"]
    whole = b""
    for part in parts:
        logs.append(KEY, max(0, len(whole) - 1), whole[-1:] + part)  # a byte is sent again
        whole += part

        assert all(is_end(logs.tail(KEY, lines), whole, lines) for lines in range(1, 9))

    last = logs.tail(KEY, 1)
    assert last is not None
    assert last.start > 0


def uploaded(clients: Clients, logs: LogStore, offset: int, data: bytes) -> Uploaded:
    """Upload a chunk as a worker does."""
    place = logs.place_for(KEY, offset, "x")
    S3Bucket(clients, BUCKET).put(place, gzip.compress(data))
    return Uploaded(place, len(data), data.count(b"\n"))


def test_uploaded_chunks_are_part_of_the_stream(clients: Clients, table: DynamoTable) -> None:
    logs = ChunkedLogs(table, S3Bucket(clients, BUCKET))
    large = b"a line\n" * 100_000
    logs.append(KEY, 0, b"first\n")

    for _ in range(2):  # a repeated message changes nothing
        logs.append_uploaded(KEY, 6, uploaded(clients, logs, 6, large), b"")
    logs.append_uploaded(KEY, 2, uploaded(clients, logs, 2, b"rst\n" + large + b"end\n"), b"")

    whole = b"first\n" + large + b"end\n"
    assert b"".join(logs.stream(KEY, 0, len(whole))) == whole
    assert logs.read(KEY, 10, 20) == whole[10:30]
    assert sum(ends for _, ends in logs.line_ends(KEY, 0)) == whole.count(b"\n")


def test_chunk_that_was_not_uploaded_is_refused(clients: Clients, table: DynamoTable) -> None:
    logs = ChunkedLogs(table, S3Bucket(clients, BUCKET))
    other = uploaded(clients, logs, 0, b"x")._replace(place="trees/abc")

    for missing in (Uploaded(logs.place_for(KEY, 0, "y"), 1, 0), other):
        with pytest.raises(LookupError):
            logs.append_uploaded(KEY, 0, missing, b"")

    assert logs.size(KEY) == 0


def test_wrong_size_of_an_upload_changes_no_other_chunk(
    clients: Clients, table: DynamoTable
) -> None:
    logs = ChunkedLogs(table, S3Bucket(clients, BUCKET))
    logs.append_uploaded(KEY, 0, uploaded(clients, logs, 0, b"abc")._replace(size=5), b"")
    logs.append(KEY, 5, b"next\n")

    assert logs.read(KEY, 0, 100) == b"abc\n\nnext\n"


def test_empty_chunk_is_refused_and_a_stored_one_stops_its_stream(
    clients: Clients, table: DynamoTable
) -> None:
    logs = ChunkedLogs(table, S3Bucket(clients, BUCKET))
    empty = uploaded(clients, logs, 0, b"")
    with pytest.raises(ValueError, match="at least one byte"):
        logs.append_uploaded(KEY, 0, empty, b"")
    logs._write(KEY, EMPTY, {"size": 0, "object": empty.place, "lines": 0}, b"")

    with pytest.raises(ConflictError, match="cannot be continued"):
        logs.append(KEY, 0, b"abc")
    with pytest.raises(ConflictError, match="cannot be continued"):
        logs.append_uploaded(KEY, 0, uploaded(clients, logs, 0, b"abc"), b"")


def test_joined_chunks_read_as_before_and_are_deleted(clients: Clients, table: DynamoTable) -> None:
    bucket = S3Bucket(clients, BUCKET)
    logs = ChunkedLogs(table, bucket)
    whole, chunks = b"", [Random(n).randbytes(9_000 if n % 9 else 20_000) for n in range(99)]
    chunks += [b"line\n" * 400_000, b"last\n"]
    for number, data in enumerate(chunks):
        if len(data) > 1_000_000:
            logs.append_uploaded(
                KEY, len(whole), uploaded(clients, logs, len(whole), data), packed([])
            )
        else:
            logs.append(KEY, len(whole), data, packed([(len(whole), float(number))]))
        whole += data
    before = list(logs.line_ends(KEY, 0))
    half = logs.stream(KEY, 0, len(whole))
    begun = next(half)

    assert logs.join(KEY)
    assert logs.join(KEY)

    assert begun + b"".join(half) == whole, "a reader that had begun continues"
    assert logs.size(KEY) == len(whole)
    assert b"".join(logs.stream(KEY, 0, len(whole))) == whole
    for offset in (0, 5, 8_999, 1_000_000, len(whole) - 3, len(whole)):
        assert logs.read(KEY, offset, 100) == whole[offset : offset + 100]
    assert logs.times(KEY, len(chunks[0]), len(chunks[0]) + 1) == ((len(chunks[0]), 1.0),)
    points = list(logs.line_ends(KEY, 0))
    assert points[-1][0] == len(whole)
    assert sum(ends for _, ends in points) == sum(ends for _, ends in before)
    logs.append(KEY, len(whole) - 5, b"last\n")  # sent twice
    assert logs.size(KEY) == len(whole)
    left = [key for page in bucket.pages_below("logs/abc/") for key in page]
    assert sorted("times" in key for key in left) == [False, True]

    logs.forget("abc")
    assert logs.size(KEY) == 0
    assert list(bucket.pages_below("logs/abc/")) == []


def test_last_lines_are_found_behind_chunks_of_several_processes(
    clients: Clients, table: DynamoTable
) -> None:
    writers = [ChunkedLogs(table, S3Bucket(clients, BUCKET)) for _ in range(3)]
    logs, whole = writers[0], b""
    for number in range(120):
        data = f"{number}\n".encode() * (200_000 if number == 70 else 1 + number % 3)
        if number == 70:
            logs.append_uploaded(KEY, len(whole), uploaded(clients, logs, len(whole), data), b"")
        else:
            writers[number % 3].append(KEY, len(whole), data)
        whole += data
    ends = whole.splitlines(keepends=True)

    def page(first: int) -> tuple[bytes, ...]:
        found = lines_of(ChunkedLogs(table, S3Bucket(clients, BUCKET)), KEY, first, 50, 1 << 20)
        assert (found.total, found.first) == (len(ends), len(ends) + first)
        return found.lines

    wanted = {first: tuple(ends[first:][:50]) for first in (-1, -40, -60, -10_000)}
    assert all(is_end(logs.tail(KEY, -first), whole, -first) for first in wanted)
    assert {first: page(first) for first in wanted} == wanted
    # A chunk of an older version does not have the number of line ends before it.
    logs._write(
        KEY, End(len(whole), None), {"size": 4, "packed": gzip.compress(b"old\n"), "lines": 1}, b""
    )
    writers[1].append(KEY, len(whole) + 4, b"new\n")
    ends += [b"old\n", b"new\n"]
    assert logs.tail(KEY, 1) is None
    assert page(-2) == (b"old\n", b"new\n")
    assert logs.join(KEY)
    assert page(-2) == (b"old\n", b"new\n")


def test_few_chunks_are_not_joined(logs: LogStore) -> None:
    assert not logs.join(KEY)


# ---- blobs ------------------------------------------------------------------------------------


def test_blob_exists_until_it_is_deleted(blobs: Blobs) -> None:
    assert blobs.get("uploads/a") is None

    blobs.put("uploads/a", b"\0x")
    assert blobs.get("uploads/a") == b"\0x"

    blobs.delete("uploads/a")
    blobs.delete("uploads/a")
    assert blobs.get("uploads/a") is None


def test_large_blob_is_written_from_a_file_and_read_in_chunks(blobs: Blobs) -> None:
    assert blobs.chunks("uploads/a") is None
    assert not blobs.exists("uploads/a")

    blobs.put_file("uploads/a", io.BytesIO(b"x" * 9_000_000 + b"end"))

    assert blobs.exists("uploads/a")
    chunks = blobs.chunks("uploads/a")
    assert chunks is not None
    assert b"".join(chunks) == b"x" * 9_000_000 + b"end"


def test_large_blob_is_written_in_parts(blobs: Blobs) -> None:
    parts = [bytes([number]) * 7_000_000 for number in range(4)]
    writer, dropped = blobs.writer("uploads/a"), blobs.writer("uploads/b")
    for part in parts:
        writer.write(part)
        dropped.write(part)
    assert not blobs.exists("uploads/a")

    writer.close()
    dropped.abort()

    assert blobs.get("uploads/a") == b"".join(parts)
    assert not blobs.exists("uploads/b")


def test_a_signed_url_names_the_object_and_no_secret_key(blobs: Blobs) -> None:
    put = blobs.upload_url("uploads/a b", size=7)
    get = blobs.download_url("uploads/a b", filename='x"ü.log')

    for url in (put, get):
        assert urlsplit(url).path.endswith(("uploads/a%20b", "uploads/a b"))
        assert "aws_secret" not in url


def test_a_signed_download_is_saved_and_expires(clients: Clients) -> None:
    url = S3Bucket(clients, BUCKET).download_url("uploads/a", filename='x"ü.log')

    query = parse_qs(urlsplit(url).query)
    assert query["response-content-disposition"] == ["attachment; filename*=UTF-8''x%22%C3%BC.log"]
    assert query["response-content-type"] == ["application/octet-stream"]
    assert query["X-Amz-Expires"] == ["300"]


def test_an_upload_is_signed_for_its_size(clients: Clients) -> None:
    url = S3Bucket(clients, BUCKET).upload_url("uploads/a", size=7)

    signed = parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"]
    assert signed == ["content-length;host"]


# ---- secrets ----------------------------------------------------------------------------------


def test_a_scope_has_the_secrets_that_were_written_last(vault: SecretVault) -> None:
    assert vault.read_version("org/acme") == ({}, "")

    vault.replace("org/acme", {"A": {"value": "ü\n", "mask": True, "updated": 1.5}}, "")
    for number in range(4):
        written = {"B": {"value": "", "mask": False, "updated": float(number)}}
        vault.replace("org/acme", written, vault.read_version("org/acme")[1])
        assert vault.read("org/acme") == written

    assert vault.read("org/other") == {}


def test_concurrent_change_is_not_overwritten(vault: SecretVault) -> None:
    vault.replace("org/acme", {"A": {"value": "1"}}, "")
    with pytest.raises(ConflictError):
        vault.replace("org/acme", {"B": {"value": "new"}}, "")
    _, seen = vault.read_version("org/acme")
    vault.replace("org/acme", {"A": {"value": "2"}}, seen)

    with pytest.raises(ConflictError):
        vault.replace("org/acme", {"A": {"value": "3"}}, seen)

    assert vault.read("org/acme") == {"A": {"value": "2"}}
    vault.replace("org/acme", {"A": {"value": "4"}}, vault.read_version("org/acme")[1])
    assert vault.read("org/acme") == {"A": {"value": "4"}}


def test_a_scope_without_secrets_has_no_version(vault: SecretVault) -> None:
    vault.replace("org/acme", {"A": {"value": "1"}}, "")

    vault.replace("org/acme", {}, vault.read_version("org/acme")[1])

    assert vault.read_version("org/acme") == ({}, "")
    vault.replace("org/acme", {"A": {"value": "2"}}, "")
    assert vault.read("org/acme") == {"A": {"value": "2"}}


class StoredSecrets(NamedTuple):
    """A vault at AWS and everything that AWS holds for it."""

    vault: SecretsManager
    clients: Clients
    table: DynamoTable

    def values(self) -> list[Any]:
        """Return the value of every version of every secret, deprecated and deleted ones too."""
        client = self.clients.get("secretsmanager")
        found = []
        for secret in client.list_secrets(IncludePlannedDeletion=True)["SecretList"]:
            versions = client.list_secret_version_ids(
                SecretId=secret["ARN"], IncludeDeprecated=True
            )
            for version in versions["Versions"]:
                value = client.get_secret_value(
                    SecretId=secret["ARN"], VersionId=version["VersionId"]
                )
                found.append(json.loads(value["SecretString"]))
        return found

    def change(self, secrets: dict[str, Any]) -> None:
        self.vault.replace("org/acme", secrets, self.vault.read_version("org/acme")[1])

    def items(self) -> int:
        return len(list(self.table.range("S#org/acme", "A", LAST)))


@pytest.fixture
def stored(clients: Clients, table: DynamoTable, clock: Clock) -> StoredSecrets:
    return StoredSecrets(
        SecretsManager(clients, table, "conducto/t/", Tags("t"), clock), clients, table
    )


def test_no_version_of_a_secret_holds_a_replaced_or_deleted_value(stored: StoredSecrets) -> None:
    stored.change({"A": {"value": "old"}, "B": {"value": "kept"}})
    stored.change({"A": {"value": "new"}, "B": {"value": "kept"}})
    assert stored.values() == [{"A": {"value": "new"}, "B": {"value": "kept"}}]

    stored.change({"B": {"value": "kept"}})
    assert stored.values() == [{"B": {"value": "kept"}}]

    stored.change({})
    assert stored.values() == []
    assert stored.items() == 0, "the scope is named nowhere any more"


def test_value_that_lost_a_race_is_deleted(stored: StoredSecrets) -> None:
    stored.change({"A": {"value": "1"}})
    _, seen = stored.vault.read_version("org/acme")
    stored.change({"A": {"value": "2"}})

    with pytest.raises(ConflictError):
        stored.vault.replace("org/acme", {"A": {"value": "lost"}}, seen)

    assert stored.values() == [{"A": {"value": "2"}}]


@pytest.mark.parametrize("dies_at", ["create_secret", "delete_secret"])
def test_next_change_deletes_values_of_an_interrupted_one(
    stored: StoredSecrets, clock: Clock, dies_at: str
) -> None:
    stored.change({"A": {"value": "old"}})

    class DeadError(Exception): ...

    def die(**_: Any) -> None:
        raise DeadError

    events = stored.clients.get("secretsmanager").meta.events
    place = "after" if dies_at == "create_secret" else "before"
    name = dies_at.title().replace("_", "")
    events.register(f"{place}-call.secrets-manager.{name}", die)
    with pytest.raises(DeadError):
        stored.change({"A": {"value": "new"}})
    events.unregister(f"{place}-call.secrets-manager.{name}", die)
    assert len(stored.values()) == 2

    clock.now += 901 if dies_at == "create_secret" else 1
    current, _ = stored.vault.read_version("org/acme")

    assert stored.values() == [current]
    assert current == {"A": {"value": "old" if dies_at == "create_secret" else "new"}}


def test_scope_whose_value_a_restored_table_misses_can_be_stored_again(
    stored: StoredSecrets,
) -> None:
    stored.change({"A": {"value": "1"}})
    key = table_keys.current_secret("org/acme")
    restored = stored.table.get(key) or {}
    stored.change({})
    stored.table.put(key, {name: restored[name] for name in ("secret", "replaced")})

    assert stored.vault.read("org/acme") == {}
    stored.change({"A": {"value": "2"}})

    assert stored.vault.read("org/acme") == {"A": {"value": "2"}}


def test_secrets_that_are_too_large_are_refused_without_a_word_of_them(
    stored: StoredSecrets,
) -> None:
    vault = stored.vault
    vault.replace("org/acme", {"A": {"value": "kept"}}, "")
    _, version = vault.read_version("org/acme")

    with pytest.raises(RefusedError, match="Secrets Manager allows 65536") as refused:
        vault.replace("org/acme", {"A": {"value": "very-secret" * 10_000}}, version)

    assert "very-secret" not in str(refused.value)
    assert vault.read("org/acme") == {"A": {"value": "kept"}}


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_signed_addresses_are_at_the_host_where_pages_may_go(region: str) -> None:
    clients = Clients(region, aws_access_key_id="test", aws_secret_access_key="test")
    bucket = S3Bucket(clients, BUCKET)

    for url in (bucket.upload_url("uploads/a"), bucket.download_url("uploads/a", filename="a")):
        # What CloudFormation calls the bucket's regional domain name (`infra.stacks.site`).
        assert urlsplit(url).netloc == f"{BUCKET}.s3.{region}.amazonaws.com"
        assert int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0]) <= 300


# ---- tokens -----------------------------------------------------------------------------------


def test_token_identifies_its_owner(tokens: TableTokens) -> None:
    tokens.put("d1", ANN, expires=None)
    tokens.put("d2", WORKER, expires=None)

    assert tokens.find("d1") == ANN
    assert tokens.find("d2") == WORKER
    assert tokens.find("d3") is None


def test_token_of_an_assistant_keeps_its_kind_and_scopes(tokens: TableTokens) -> None:
    tokens.put("d1", replace(ANN, scopes=("read", "author")), expires=None, kind="assistant")

    found = tokens.find("d1")

    assert found is not None
    assert (found.kind, found.scopes) == ("assistant", ("read", "author"))


def test_a_token_ends_when_it_was_to_end(tokens: TableTokens, clock: Clock) -> None:
    tokens.put("d1", ANN, expires=1010.5)

    clock.now = 1010.0
    assert tokens.find("d1") == ANN
    clock.now = 1010.5
    assert tokens.find("d1") is None


def test_codes_of_a_token_are_counted_by_minute(tokens: TableTokens, clock: Clock) -> None:
    clock.now = 6000.0
    counts = [tokens.count_in_minute("codes", parent) for parent in ("a", "a", "b", "a")]
    clock.now += 59
    counts.append(tokens.count_in_minute("codes", "a"))
    clock.now += 1
    counts.append(tokens.count_in_minute("codes", "a"))

    assert counts == [1, 2, 1, 3, 4, 1]
    assert tokens.list_by_org("acme") == []


def test_revoked_token_is_deleted(tokens: TableTokens) -> None:
    tokens.put("d1", ANN, expires=None)

    assert [tokens.revoke_once("d1"), tokens.revoke_once("d1")] == [True, False]

    assert tokens.find("d1") is None
    assert tokens.list_by_org("acme") == []


def test_token_contains_its_id_and_its_parent(tokens: TableTokens) -> None:
    tokens.put("d1", ANN, expires=None)
    tokens.put("d2", ANN, expires=None, parent="d1")

    own, hanging = tokens.find("d1"), tokens.find("d2")

    assert own is not None
    assert hanging is not None
    assert (own.token, own.parent) == ("d1", None)
    assert (hanging.token, hanging.parent) == ("d2", "d1")


def test_token_ends_with_its_parent(tokens: TableTokens, clock: Clock) -> None:
    tokens.put("taken", ANN, expires=None)
    tokens.put("short", ANN, expires=1010.0)
    tokens.put("of taken", ANN, expires=None, parent="taken")
    tokens.put("of short", ANN, expires=None, parent="short")
    tokens.put("of none", ANN, expires=None, parent="nothing")

    assert tokens.find("of none") is None
    tokens.revoke_once("taken")
    assert tokens.find("of taken") is None
    assert tokens.find("of short") == ANN
    clock.now = 1010.0
    assert tokens.find("of short") is None


def test_tokens_and_sessions_of_users_are_listed_the_newest_first(
    tokens: TableTokens, clock: Clock
) -> None:
    tokens.put("d1", ANN, expires=None)
    clock.now += 1
    tokens.put("d2", ANN, expires=5000.0, kind="token", name="nightly")
    tokens.put("d3", WORKER, expires=None)
    clock.now += 1
    tokens.put("d5", ANN, expires=None, parent="d1", kind="session")
    tokens.put("d6", replace(ANN, permissions=frozenset({"sign_in"})), expires=None, parent="d1")
    tokens.put("d4", Identity("other", "bob", frozenset({"read"})), expires=None)

    found = tokens.list_by_org("acme")

    assert [(t.digest, t.identity, t.created, t.expires) for t in found] == [
        ("d5", ANN, 1002.0, None),
        ("d2", ANN, 1001.0, 5000.0),
        ("d1", ANN, 1000.0, None),
    ]
    assert [(t.identity.kind, t.name) for t in found] == [
        ("session", ""),
        ("token", "nightly"),
        ("login", ""),
    ]


# ---- organisations ----------------------------------------------------------------------------


def test_an_org_is_on_the_free_plan_until_it_is_on_another(orgs: TableOrgs) -> None:
    assert orgs.plan("acme") == BillingPlan()

    orgs.set_plan("acme", BillingPlan("scale", max_workers=50, max_cpu=16.0, exec_minutes=None))

    assert orgs.plan("acme") == BillingPlan(
        "scale", max_workers=50, max_cpu=16.0, exec_minutes=None
    )
    assert orgs.plan("other") == BillingPlan()
    assert orgs.workers("acme") == 0


def test_usage_is_counted_once(orgs: TableOrgs) -> None:
    for _ in range(3):
        orgs.add_usage("acme", "2026-11", "abc /a 1", 10.5, 2.0)
    orgs.add_usage("acme", "2026-11", "abc /a 2", 1.0, 0.25)
    orgs.add_usage("acme", "2026-12", "abc /a 1", 7.0, 1.0)

    assert orgs.usage("acme", "2026-11") == {"exec_seconds": 11.5, "cpu_seconds": 21.25}
    assert orgs.usage("acme", "2026-12") == {"exec_seconds": 7.0, "cpu_seconds": 7.0}
    assert orgs.usage("other", "2026-11") == {"exec_seconds": 0, "cpu_seconds": 0}


def test_usage_of_pipelines_is_counted_once_for_each(orgs: TableOrgs) -> None:
    old, new = Spender("abc", "Old title", 0.5), Spender("abc", "New title", 0.25)
    for _ in range(3):
        orgs.add_usage("acme", "2026-11", "abc /a 1", 10.0, 2.0, whose=old)
    orgs.add_usage("acme", "2026-11", "abc /a 2", 1.0, 0.25, whose=new)
    orgs.add_usage("acme", "2026-11", "xyz /a 1", 4.0, 1.0, whose=Spender("xyz", "X", 0.125))
    orgs.add_usage("acme", "2026-11", "a shell", 9.0, 1.0)
    orgs.add_usage("acme", "2026-12", "abc /a 3", 7.0, 1.0, whose=new)

    spent = {one.id: one for one in orgs.spent("acme", "2026-11")}
    assert spent == {
        "abc": PipelineSpent(
            id="abc",
            title="New title",
            month="2026-11",
            attempts=2,
            seconds=11.0,
            cpu_seconds=20.25,
            dollars=0.75,
        ),
        "xyz": PipelineSpent(
            id="xyz",
            title="X",
            month="2026-11",
            attempts=1,
            seconds=4.0,
            cpu_seconds=4.0,
            dollars=0.125,
        ),
    }
    assert orgs.usage("acme", "2026-11")["exec_seconds"] == 24.0
    assert list(orgs.spent("other", "2026-11")) == []


def test_storage_is_charged_once_for_each_interval(orgs: TableOrgs) -> None:
    whose = Spender("abc", "Train", 0.0, attempts=0, program="/a.py", function="main")
    first, second = (Measured(float(n), Stored(objects=n, files=2, records=3)) for n in (10, 20))

    assert orgs.measured("abc") is None
    orgs.add_storage("acme", whose, None, first, {"2026-11": 0.5})
    for before in (None, second):
        with pytest.raises(ConflictError):
            orgs.add_storage("acme", whose, before, second, {"2026-11": 9.0})
    orgs.add_storage("acme", whose, first, second, {"2026-11": 0.25, "2026-12": 0.125})

    assert orgs.measured("abc") == second
    spent = PipelineSpent(
        id="abc",
        title="Train",
        month="2026-11",
        program="/a.py",
        function="main",
        storage_dollars=0.75,
    )
    assert list(orgs.spent("acme", "2026-11")) == [spent]
    assert orgs.spent_by("acme", "2026-11", "abc") == spent
    assert orgs.spent_by("acme", "2026-10", "abc") is None


def test_daily_measurement_of_storage_has_a_place(orgs: TableOrgs) -> None:
    assert orgs.measured_last() == ("", "")
    orgs.note_measured("acme", "abc")
    orgs.note_measured("other", "aaa")
    assert orgs.measured_last() == ("other", "aaa")


# ---- connections ------------------------------------------------------------------------------


def test_a_connection_follows_one_pipeline_at_a_time(connections: TableConnections) -> None:
    connections.put("c1", "acme", "abc", 3)
    connections.put("c2", "acme", "abc", 0)
    connections.put("c1", "acme", "abc", 5)
    assert sorted(connections.followers("abc")) == [("c1", 5), ("c2", 0)]

    connections.put("c1", "acme", "xyz", 1)
    assert connections.followers("abc") == [("c2", 0)]
    assert connections.followers("xyz") == [("c1", 1)]


def test_connection_keeps_the_token_that_opened_it(connections: TableConnections) -> None:
    assert connections.token_of("c1") is None

    connections.opened("c1", "digest")
    assert connections.token_of("c1") == "digest"
    assert connections.followers("abc") == []

    connections.put("c1", "acme", "abc", 3)
    assert connections.token_of("c1") == "digest"


def test_open_connections_are_known_with_their_tokens(connections: TableConnections) -> None:
    connections.opened("c1", "digest")
    connections.opened("c2", "session", "digest")
    assert sorted(connections.opened_by()) == [("c1", "digest", None), ("c2", "session", "digest")]

    connections.delete("c1")
    assert list(connections.opened_by()) == [("c2", "session", "digest")]


def test_connection_of_an_agent_is_known_until_it_is_closed(connections: TableConnections) -> None:
    key = AgentKey("acme", "laptop")
    connections.opened("c1", "digest")
    connections.opened("c2", "digest")
    connections.link("c1", key)
    connections.link("closed meanwhile", key)

    assert [connections.agent_of(one) for one in ("c1", "c2", "c3")] == [key, None, None]
    assert [one for one, *_ in connections.opened_by(agents=False)] == ["c2"]
    assert sorted(one for one, *_ in connections.opened_by()) == ["c1", "c2"]
    connections.delete("c1")
    assert connections.agent_of("c1") is None


def test_closed_connection_follows_nothing(connections: TableConnections) -> None:
    connections.put("c1", "acme", "abc", 3)

    connections.delete("c1")
    connections.delete("c1")

    assert connections.followers("abc") == []
    assert connections.token_of("c1") is None


def test_frame_to_a_closed_connection_is_not_an_error(
    clients: Clients, table: DynamoTable, clock: Clock
) -> None:
    connections = TableConnections(table, clients, lambda: "https://socket.invalid/api", clock)
    client = clients.get("apigatewaymanagementapi", "https://socket.invalid/api")

    with throttled(client, "PostToConnection", code="GoneException"):
        assert not connections.send("c1", b"{}")
    with throttled(client, "DeleteConnection", code="GoneException"):
        connections.close("c1")
    limited = throttled(client, "PostToConnection", code="LimitExceededException")
    with limited, pytest.raises(ThrottledError):
        connections.send("c1", b"{}")


def test_small_and_large_chunks_make_one_stream(logs: LogStore) -> None:
    # Random bytes cannot be compressed.
    noise = Random(1).randbytes
    chunks = [b"s" * 10, noise(MAX_INLINE_CHUNK + 1), noise(MAX_INLINE_CHUNK - 50), b"L" * 50_000]
    for chunk in chunks * 3:
        logs.append(KEY, logs.size(KEY), chunk)

    whole = b"".join(chunks * 3)
    assert logs.read(KEY, 0, len(whole)) == whole
    assert logs.read(KEY, 5, 100_000) == whole[5:100_005]
    assert logs.read(KEY, len(whole) - 7, 100) == whole[-7:]


def test_hour_of_one_line_a_second_is_read_without_s3(clients: Clients, table: DynamoTable) -> None:
    logs = ChunkedLogs(table, S3Bucket(clients, BUCKET))
    lines = b"2026-11-27 12:00:00 one line of output\n" * 5
    for number in range(720):
        logs.append(KEY, number * len(lines), lines)

    with calls_of(clients.get("s3")) as s3, calls_of(clients.get("dynamodb")) as dynamodb:
        assert logs.read(KEY, 0, 720 * len(lines)) == lines * 720

    assert (s3, dynamodb) == ([], ["Query", "Query"])


def test_times_of_output_are_found_across_chunks(logs: LogStore) -> None:
    large = b"x" * 20_000
    logs.append(KEY, 0, b"one\n", packed([(0, 10.0)]))
    logs.append(KEY, 4, large, packed([(0, 10.0), (9_000, 11.0)]))
    logs.append(KEY, 4, large, packed([(0, 10.0), (9_000, 11.0)]))
    logs.append(KEY, 20_004, b"end\n")

    assert logs.times(KEY, 0, 30_000) == ((0, 10.0), (9_000, 11.0))
    assert logs.times(KEY, 0, 4) == ((0, 10.0),)
    assert logs.times(KEY, 10_000, 10_001) == ((9_000, 11.0),)
    assert logs.times(LogKey("abc", "/none", 1, "stdout"), 0, 10) == ()


def test_reader_is_known_until_its_time(logs: LogStore) -> None:
    assert not logs.has_reader("abc", 100.0)

    logs.note_reader("abc", 130.0)
    logs.note_reader("abc", 131.0)

    assert logs.has_reader("abc", 129.0)
    assert not logs.has_reader("abc", 132.0)
    assert not logs.has_reader("abd", 129.0)
    logs.append(LogKey("abc", "/a", 1, "stdout"), 0, b"one")
    logs.forget("abc")
    assert not logs.has_reader("abc", 129.0)


def test_output_of_a_deleted_pipeline_is_deleted_and_no_other(logs: LogStore) -> None:
    mine = [LogKey("abc", path, 1, "stdout") for path in ("/a", "/b")]
    other = LogKey("abcd", "/a", 1, "stdout")
    for key in (*mine, other):
        logs.append(key, 0, b"one")
        logs.append(key, 3, b"two")

    logs.forget("abc")
    logs.forget("abc")

    assert [logs.size(key) for key in mine] == [0, 0]
    assert logs.read(mine[0], 0, 10) == b""
    assert logs.read(other, 0, 10) == b"onetwo"
    logs.append(mine[0], 0, b"new")
    assert logs.read(mine[0], 0, 10) == b"new"


# ---- members ----------------------------------------------------------------------------------


class Registry(NamedTuple):
    """Members and their tokens, over the same table."""

    people: TablePeople
    tokens: TableTokens
    identities: TableIdentities


@pytest.fixture
def registry(any_table: DynamoTable, clock: Clock) -> Registry:
    tokens = TableTokens(any_table, clock)
    return Registry(TablePeople(any_table, tokens), tokens, TableIdentities(any_table))


def a_member(user: str, role: Role = Role.MEMBER) -> Member:
    return Member(user=user, role=role, joined=1000.0, email=f"{user}@x.y")


def test_membership_is_the_root_of_tokens(registry: Registry) -> None:
    people, tokens, _ = registry
    people.join("acme", a_member("ann", Role.OWNER))
    bob = a_member("bob")
    people.join("acme", bob)
    root = membership_digest("acme", "bob")
    tokens.put("d1", Identity("acme", "bob", INHERITED), expires=None, parent=root)

    held = []
    for role in (Role.VIEWER, Role.ADMIN, None):
        known = tokens.find("d1")
        assert known is not None
        held.append(known.permissions)
        people.change("acme", bob, role, "ann")
        bob = bob.model_copy(update={"role": role})

    assert held == [permissions_of(r) for r in (Role.MEMBER, Role.VIEWER, Role.ADMIN)]
    assert tokens.find("d1") is None
    assert (people.member("acme", "bob"), people.has_left("acme", "bob")) == (None, True)
    assert (people.former("acme"), list(people.members("other"))) == (["bob"], [])


def test_members_of_one_name_do_not_replace_each_other(registry: Registry) -> None:
    registry.people.join("acme", a_member("ann", Role.OWNER), first=True)

    with pytest.raises(ConflictError):
        registry.people.join("acme", a_member("ann"))
    with pytest.raises(ConflictError):
        registry.people.join("acme", a_member("bob"), first=True)
    assert [one.role for one in registry.people.members("acme")] == [Role.OWNER]


def test_change_needs_the_expected_role_an_owner_left_and_an_entitled_member(
    registry: Registry,
) -> None:
    people = registry.people
    ann, bob, cem = a_member("ann", Role.OWNER), a_member("bob", Role.ADMIN), a_member("cem")
    for one in (ann, bob, cem):
        people.join("acme", one)

    for member, role, by in (
        (a_member("cem", Role.VIEWER), Role.ADMIN, "ann"),  # not the role now
        (ann, None, "ann"),  # the last owner
        (ann, Role.ADMIN, None),
        (ann, None, "bob"),  # an administrator
        (bob, None, "cem"),  # a member
        (cem, None, "zoe"),  # nobody
    ):
        with pytest.raises(ConflictError):
            people.change("acme", member, role, by)
    assert people.members("acme") == [ann, bob, cem]


def test_person_is_linked_with_their_membership(registry: Registry) -> None:
    people, _, identities = registry
    person = VerifiedPerson("https://issuer", "p", "ann@x.y", 0.0)
    ann = a_member("ann", Role.OWNER)
    people.join("acme", ann, person=person)
    people.join("acme", a_member("bob", Role.OWNER))

    assert identities.memberships(person) == {"acme": "ann"}
    with pytest.raises(ConflictError):
        people.join("acme", a_member("cem"), person=person)
    assert people.member("acme", "cem") is None
    people.change("acme", ann, None, None)
    assert identities.memberships(person) == {}


def test_two_owners_who_remove_each_other_leave_one(registry: Registry) -> None:
    people = registry.people
    ann, bob = a_member("ann", Role.OWNER), a_member("bob", Role.OWNER)
    people.join("acme", ann)
    people.join("acme", bob)
    failed = []

    def remove(member: Member, by: str) -> None:
        try:
            people.change("acme", member, None, by)
        except ConflictError:
            failed.append(by)

    with ThreadPoolExecutor() as pool:
        list(pool.map(remove, (ann, bob), ("bob", "ann")))

    assert len(failed) == 1
    assert [one.user for one in people.members("acme")] == sorted({"ann", "bob"} - {*failed})


def test_invitation_is_accepted_or_withdrawn_once(registry: Registry) -> None:
    people = registry.people
    for digest in ("d1", "d2"):
        invitation = Invitation(
            id="0123456789abcdef",
            email="a@b.c",
            role=Role.MEMBER,
            user=f"user-{digest}",
            invited_by="ann",
            created=1000.0,
            expires=2000.0,
        )
        people.invite("acme", InvitationRecord(invitation=invitation, digest=digest))

    people.join("acme", a_member("bob"), invitation="d1")
    people.withdraw("acme", "d2")

    for digest in ("d1", "d2", "d3"):
        with pytest.raises(ConflictError):
            people.join("acme", a_member("cem"), invitation=digest)
        with pytest.raises(ConflictError):
            people.withdraw("acme", digest)
    assert {r.digest: r.state for r in people.invitations("acme")} == {
        "d1": "accepted",
        "d2": "withdrawn",
    }
    assert people.member("acme", "cem") is None


def test_dissolved_organisation_has_no_members_and_tokens(registry: Registry) -> None:
    people, tokens, _ = registry
    people.join("acme", a_member("ann", Role.OWNER))
    root = membership_digest("acme", "ann")
    tokens.put("d1", Identity("acme", "ann", INHERITED), expires=None, parent=root)

    people.dissolve("acme")

    assert list(people.members("acme")) == []
    assert tokens.find("d1") is None
    with pytest.raises(ConflictError):
        people.join("acme", a_member("new", Role.OWNER), first=True)
    people.join("acme", a_member("new", Role.OWNER))
    people.join("acme", a_member("old", Role.OWNER))
    people.change("acme", a_member("new", Role.OWNER), None, None)


# ---- audit log --------------------------------------------------------------------------------


@pytest.fixture
def audit(any_table: DynamoTable, clock: Clock) -> TableAuditLog:
    return TableAuditLog(any_table, clock)


def test_audit_log_is_paged_and_filtered_over_months(audit: TableAuditLog, clock: Clock) -> None:
    month = 31 * 86_400.0
    for number in range(6):
        clock.now = 1_700_000_000.0 + number * month
        audit.add("acme", _entry(clock.now, "ann" if number % 2 else "bob"))
    audit.add("other", _entry(clock.now, "eve"))
    pages, params = [], AuditParams(limit=4)

    while True:
        page = audit.page("acme", params)
        pages.append([entry.time for entry in page.entries])
        if page.next is None:
            break
        params = AuditParams(limit=4, after=page.next)

    times = [1_700_000_000.0 + number * month for number in range(6)]
    assert [time for page in pages for time in page] == times[::-1]
    assert len(pages[0]) == 4
    ann = audit.page("acme", AuditParams(user="ann")).entries
    assert [entry.time for entry in ann] == times[5::-2]
    assert audit.page("acme", AuditParams(operation="launch")).entries == ()


def test_user_is_renamed_in_the_audit_log(audit: TableAuditLog, clock: Clock) -> None:
    clock.now = 1_700_000_000.0
    audit.add("acme", _entry(clock.now, "ann"))
    audit.add("acme", _entry(clock.now, "bob", subject="ann"))
    audit.add("acme", _entry(clock.now, "bob"))

    assert audit.rename("acme", "ann", "erased") == 2

    found = audit.page("acme", AuditParams()).entries
    assert sorted((e.user, e.subject) for e in found) == [
        ("bob", ""),
        ("bob", "erased"),
        ("erased", ""),
    ]


def test_entry_has_no_status_until_its_request_ends(audit: TableAuditLog, clock: Clock) -> None:
    clock.now = 1_700_000_000.0
    begun = [audit.add("acme", _entry(clock.now + n, "ann", "ann", status=None)) for n in range(3)]

    audit.end("acme", begun[1], 403, None)
    audit.rename("acme", "ann", "erased")
    audit.end("acme", begun[2], 200, "made")

    found = audit.page("acme", AuditParams()).entries
    assert [(e.user, e.subject, e.status) for e in found] == [
        ("erased", "made", 200),
        ("erased", "erased", 403),
        ("erased", "erased", None),
    ]


def test_entries_are_to_be_copied_until_they_are_marked(
    any_table: DynamoTable, clock: Clock
) -> None:
    clock.now = 1_700_000_000.0
    TableAuditLog(any_table, clock).add("acme", _entry(clock.now, "eve"))  # without a bucket
    audit = TableAuditLog(any_table, clock, copied=True)
    for number, org in ((2, "acme"), (0, "acme"), (1, "beta"), (9, "acme")):
        audit.add(org, _entry(clock.now + number, "ann", status=None))
    assert audit.rename("acme", "ann", "erased") == 3

    found = list(audit.uncopied(clock.now + 5))
    assert [(org, e.time - clock.now, e.user) for _, org, e in found] == [
        ("acme", 0, "erased"),
        ("beta", 1, "ann"),
        ("acme", 2, "erased"),
    ]
    for key, _, _ in found[:2]:
        audit.set_copied(key)
    assert [org for _, org, _ in audit.uncopied(clock.now + 5)] == ["acme"]
    assert len(audit.page("acme", AuditParams()).entries) == 4


def _entry(time: float, user: str, subject: str = "", *, status: int | None = 200) -> AuditEntry:
    return AuditEntry(
        time=time, user=user, token="0", operation="control", subject=subject, status=status
    )


@pytest.fixture
def rules(any_table: DynamoTable) -> TableNamedRecords[NotificationRule]:
    return TableNamedRecords(any_table, table_keys.notification_rule, NotificationRule)


def test_named_records_are_those_of_their_organisation(
    rules: TableNamedRecords[NotificationRule],
) -> None:
    def rule(name: str, to: str) -> NotificationRule:
        return NotificationRule.model_validate({"name": name, "channel": "slack", "to": to})

    for org, name, to in (("acme", "b", "#1"), ("acme", "a", "#2"), ("acme", "b", "#3")):
        rules.put(org, rule(name, to))
    rules.put("other", rule("c", "#4"))

    assert rules.list_by_name("acme") == [rule("a", "#2"), rule("b", "#3")]
    assert rules.get("acme", "b") == rule("b", "#3")
    assert rules.get("other", "b") is None
    assert [rules.delete("acme", "b"), rules.delete("acme", "b")] == [True, False]
    assert rules.list_by_name("acme") == [rule("a", "#2")]


@pytest.fixture
def deliveries(any_table: DynamoTable, clock: Clock) -> TableDeliveries:
    return TableDeliveries(any_table, clock)


def test_deliveries_are_known_by_the_id_of_the_provider(deliveries: TableDeliveries) -> None:
    event = GitEvent(kind=GitEventKind.PUSH, url="https://x/a", repository="a", branch="main")
    first = Delivery(id="01-a", time=1.0, event=event)
    second = Delivery(id="02-b", time=2.0, event=event)

    added = [deliveries.add("acme", "app", each, "d-1") for each in (first, second)]
    assert added == [True, False]
    assert deliveries.add("acme", "app", second, "d-2")
    assert deliveries.add("other", "app", first, "d-1")
    assert deliveries.latest("acme", "app", 5) == [second, first]
    assert deliveries.latest("acme", "app", 1) == [second]
    assert deliveries.get("acme", "app", "02-b") == second
    assert deliveries.get("acme", "other", "02-b") is None
    assert deliveries.open()[-1] == ("acme", "app", "02-b")


def test_organisations_with_a_github_app_are_known(deliveries: TableDeliveries) -> None:
    for org in ("b", "a", "c"):
        deliveries.watch(org, on=True)
    deliveries.watch("c", on=False)
    deliveries.watch("a", on=True)

    assert deliveries.watched() == ["a", "b"]
    assert deliveries.open() == []


def test_webhooks_are_counted_by_hook_and_minute(deliveries: TableDeliveries, clock: Clock) -> None:
    assert [deliveries.count("acme", "app") for _ in range(3)] == [1, 2, 3]
    assert deliveries.count("acme", "other") == 1
    assert deliveries.count("other", "app") == 1

    clock.now += 60

    assert deliveries.count("acme", "app") == 1


def test_ended_deliveries_are_not_open(deliveries: TableDeliveries) -> None:
    event = GitEvent(kind=GitEventKind.PUSH, url="https://x/a", repository="a", branch="main")
    found = [Delivery(id=f"0{n}-x", time=1.0, event=event) for n in range(4)]
    for number, each in enumerate(found):
        deliveries.add("acme", "app", each, str(number))
    ends = (DeliveryResult.LAUNCHED, DeliveryResult.DEFERRED, DeliveryResult.QUEUED)
    for each, result in zip(found, ends, strict=False):
        deliveries.put("acme", "app", each.model_copy(update={"result": result}))

    assert [place[2] for place in deliveries.open()] == ["01-x", "02-x", "03-x"]
