"""The policy of the cache: keys of commands, decisions, stored outcomes, and trust.

The inputs of a command are *fields*. Their digests are the key of its entry: equal inputs, equal
key. A cached command sees only its inputs: it gets the secrets that it names, and its directories
of data are empty and read-only. So an undeclared input finds nothing, and nothing is lost if the
command does not run again. ``docs/decisions/0083`` has the reasons.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from conducto.wire.caching import IDENTITY
from conducto_core.cache.files import FileUse, names_file
from conducto_core.cache.model import CacheEntry
from conducto_core.children.rules import may_launch
from conducto_core.programs.rules.fingerprints import (
    ImageContent,
    SecretOrigins,
    changed_names,
    changed_results,
    code_of,
    differences,
)
from conducto_core.programs.rules.programs import program_key
from conducto_core.run.model.labels import duration
from conducto_core.run.model.records import AttemptRecord, PipelineRecord
from conducto_core.run.model.states import State
from conducto_core.secrets.rules import cache_refusal, is_untrusted, secrets_user
from conducto_core.tree.model import Caching, NodeSpec
from conducto_core.tree.rules.callbacks import PoolKind, kind_of

#: The inputs, in the order in which reasons name them.
FIELDS: Final = (
    "command",
    "environment",
    "secrets",
    "base image",
    "code",
    "settings",
    "results",
    "files",
    "salt",
)
#: Changes with the meaning of a key, so that no entry of an earlier format is used.
KEY_FORMAT: Final = 1
#: Bytes of the end of each output stream that an entry keeps.
KEPT_OUTPUT: Final = 64 << 10
#: Days without a use after which an entry is deleted.
UNUSED_DAYS: Final = 30
#: How the parameters of nodes are treated. A test compares the names with those of nodes.
COUNTS: Final = frozenset(
    {"command", "env", "image", "image_name", "gpu", "arch", "results", "secrets", "cache", "code"}
)
DOES_NOT_COUNT: Final = frozenset(
    {
        "name",
        "cpu",
        "mem",
        "spot",
        "machine",
        "max_time",
        "budget",
        "budget_action",
        "retry",
        "retry_lost",
        "limits",
    }
    | {
        "skip",
        "run_if",
        "suppress_errors",
        "snapshot_on_error",
        "max_concurrent",
        "stop_on_error",
        "doc",
    }
    | {"title", "tags", "callback_data", "pipeline_reservation", "file", "line"}
)
#: Switched off if the cache is inherited, and refused if it is the node's own. ``isolate``,
#: ``junit`` and ``coverage`` are variables of the node, so they count.
REFUSES: Final = frozenset(
    {"launch", "requires_docker", "docker_run_args", "container_reuse_context", "same_container"}
    | {"services", "buckets"}
)
IN_ENVIRONMENT: Final = frozenset({"isolate", "junit", "coverage"})


# ---- the nodes that may have a cache ------------------------------------------------------------


def refusal(spec: NodeSpec) -> str | None:
    """Return why an Exec cannot be cached, or None."""
    named = next((each for each in IDENTITY if each in spec.command), "")
    reasons = (
        (kind_of(spec.pool) is PoolKind.CONTEXT, _SHARED_CONTAINER),
        (may_launch(spec), "it may launch pipelines (launch=True)"),
        (
            spec.placement.requires_docker,
            "it uses the container engine (requires_docker=True)",
        ),
        (bool(spec.placement.docker_run_args), _RUN_ARGS),
        (bool(spec.placement.services), _SERVICES),
        (bool(spec.placement.buckets), _BUCKETS),
        (
            spec.lazy_target is not None,
            "it generates a tree, which the cache cannot keep yet",
        ),
        (spec.approval is not None, "it waits for a person"),
        (bool(named), f"its command names {named}, which differs for each pipeline"),
    )
    return next((reason for applies, reason in reasons if applies), None)


_SHARED_CONTAINER: Final = (
    "other commands share its container (container_reuse_context=NEW), whose state is an "
    "undeclared input"
)
_SERVICES: Final = (
    "it has services, whose images and state are undeclared inputs; services={name: None} removes "
    "an inherited one"
)
_BUCKETS: Final = (
    "it sees buckets, whose objects are undeclared inputs; buckets={path: None} removes an "
    "inherited one"
)
_RUN_ARGS: Final = "it has docker_run_args, whose mounts and network are undeclared inputs"


def caches_items(spec: NodeSpec, spec_at: Callable[[str], NodeSpec]) -> bool:
    """Return whether the driver expands a map at this node, and the items have a cache.

    Args:
        spec: The node.
        spec_at: Returns the node at a path.
    """
    if spec.expansion is None or spec.lazy_target is None:
        return False
    written = spec.expansion.node.get("cache")
    inherited = spec_at(spec.lazy_target).cache is not None
    return inherited if written is None else written is not False


def switched_off(record: PipelineRecord) -> str | None:
    """Return why no command of a pipeline is cached, or None."""
    if record.engine == "process":
        return "processes of the machine see all its files (--engine process)"
    return None


def is_isolated(spec: NodeSpec, record: PipelineRecord) -> bool:
    """Return whether an Exec is cached, and so sees only its inputs."""
    return spec.cache is not None and switched_off(record) is None


def files_of(spec: NodeSpec, record: PipelineRecord) -> Caching | None:
    """Return the cache of an Exec that sees or writes files of the data; None for another one."""
    cache = spec.cache
    if cache is None or not cache.has_files or switched_off(record) is not None:
        return None
    return cache


# ---- the key ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a command that may start.

    Attributes:
        script: The command as it runs.
        env: Its variables, without secrets.
        secrets: The secrets that it gets.
        image: The content of its image.
        shell: The shell that the definition of the image names.
        results: ``{path: result}`` that it uses.
        files: The manifest of the copied files; None if it is not known or not needed.
        data: Marks of the files of the data that it sees (`conducto_core.cache.files`); or why
            they are not known.
        references: ``{name: reference}`` of the secrets in another store.
    """

    script: str
    env: Mapping[str, str]
    secrets: SecretOrigins
    image: ImageContent
    shell: str = ""
    results: Mapping[str, bytes] = field(default_factory=dict)
    files: Mapping[str, str] | None = None
    data: Mapping[str, str] | str = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)


def fields_of(spec: NodeSpec, inputs: Inputs, record: PipelineRecord) -> dict[str, str] | str:
    """Return the digest of each field of an Exec with a cache, or why it has no key."""
    cache = spec.cache
    if cache is None:
        return spec.cache_off or "cache= is not set"
    if isinstance(inputs.data, str):
        return inputs.data
    refused = cache_refusal(inputs.references)
    if refused is not None:
        return refused
    if inputs.image.base is None:
        return "the content of its image is not known"
    code = _code(spec, inputs)
    if code is None:
        return "the list of the files of its image is not known"
    ignored = frozenset(cache.ignore)
    who = {"user": record.owner, "pipeline": record.id}.get(cache.scope, "")
    return {
        "command": _digest(inputs.script),
        "environment": _digest(_without(inputs.env, ignored)),
        "secrets": _digest(_without(inputs.secrets, ignored)),
        "base image": _digest((inputs.image.base, inputs.shell)),
        "code": _digest(code),
        "settings": _digest(
            (spec.placement.gpu, spec.code, *_architecture(spec), *_file_settings(cache))
        ),
        "results": _digest({path: _digest(data.hex()) for path, data in inputs.results.items()}),
        "files": files_field(inputs.data),
        "salt": _digest((KEY_FORMAT, cache.salt, cache.scope, who)),
    }


def files_field(marks: Mapping[str, str]) -> str:
    """Return the digest of the field ``files``."""
    return _digest(dict(marks))


def _architecture(spec: NodeSpec) -> tuple[str, ...]:
    """Return the architecture that a node asks for, which earlier keys did not have."""
    return (spec.placement.arch,) if spec.placement.arch else ()


def _code(spec: NodeSpec, inputs: Inputs) -> object:
    """Return the copied code that counts: its identity, or the files that ``code`` names."""
    if not spec.code or not inputs.image.code:
        return inputs.image.code
    if inputs.files is None:
        return None
    return sorted(each for each in inputs.files.items() if names_file(spec.code, each[0]))


def _file_settings(cache: Caching) -> tuple[object, ...]:
    return (cache.reads, cache.writes, cache.copies) if cache.has_files else ()


def _without(values: Mapping[str, object], ignored: Collection[str]) -> list[tuple[str, object]]:
    return sorted((name, value) for name, value in values.items() if name not in ignored)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# ---- trust ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trust:
    """The trust in an entry, or that of a pipeline which looks for one.

    Attributes:
        private_to: The user who alone may use it; for a pipeline: the user whose secrets its
            commands get.
        with_secrets: It was made with secrets of the organisation; for a pipeline: it gets them.
    """

    private_to: str | None = None
    with_secrets: bool = False


#: The trust in an outcome that was made without secrets.
NO_TRUST: Final = Trust()


def trust_of(record: PipelineRecord, secrets: SecretOrigins) -> Trust:
    """Return the trust of an entry that a command of a pipeline makes with these secrets."""
    scopes = {origin.partition(" ")[0] for origin, _ in secrets.values()}
    return Trust(record.owner if "user" in scopes else None, "org" in scopes)


def reader_of(record: PipelineRecord) -> Trust:
    """Return which entries the commands of a pipeline may use."""
    return Trust(secrets_user(record), not is_untrusted(record))


def may_read(entry: Trust, reader: Trust) -> bool:
    """Return whether a pipeline may use an entry of its organisation."""
    if entry.with_secrets and not reader.with_secrets:
        return False
    return entry.private_to is None or entry.private_to == reader.private_to


def key_of(fields: Mapping[str, str], trust: Trust) -> str:
    """Return the key of an entry; entries that others may use are apart."""
    inputs = [fields[name] for name in FIELDS]
    return _digest([*inputs, trust.private_to, trust.with_secrets])


# ---- the decision -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CacheDecision:
    """The decision about an Exec that may start.

    Attributes:
        entry: The entry with its outcome; None: it runs.
        reason: Why it runs.
        fields: Its fields, with which its attempt is stored; None: it is not stored.
        nearest: The entry that the reason compares it with.
    """

    entry: CacheEntry | None = None
    reason: str = ""
    fields: Mapping[str, str] | None = None
    nearest: CacheEntry | None = None


def waits_for_equal(spec: NodeSpec) -> bool:
    """Return whether a command waits for an equal one that runs already."""
    return spec.cache is not None and spec.cache.serialize


def forced(record: PipelineRecord, *, fresh: bool) -> str | None:
    """Return why a command runs in any case, or None.

    Args:
        record: Its pipeline.
        fresh: A user reset it after it had run.
    """
    if record.no_cache:
        return "launched with --no-cache"
    return "a user ran it again" if fresh else None


def decide(
    spec: NodeSpec,
    fields: Mapping[str, str] | str,
    entries: Iterable[CacheEntry],
    others: Iterable[CacheEntry],
    reader: Trust,
    *,
    now: float,
    forced: str | None = None,
) -> CacheDecision:
    """Return the decision about an Exec that may start now.

    Args:
        spec: The Exec.
        fields: Its fields, or why it has no key.
        entries: Those with its key.
        others: Those of the same program and path, to explain a miss.
        reader: Which entries it may use.
        now: Seconds since the epoch.
        forced: Why it runs in any case; its attempt is stored.
    """
    if isinstance(fields, str):
        return CacheDecision(reason=f"not cached: {fields}")
    if forced is not None:
        return CacheDecision(reason=forced, fields=fields)
    max_age = None if spec.cache is None else spec.cache.max_age
    allowed = [each for each in entries if may_read(_trust(each), reader) and each.fields == fields]
    newest = max(allowed, key=lambda each: each.made, default=None)
    if newest is not None and (max_age is None or now - newest.made <= max_age):
        return CacheDecision(newest, fields=fields)
    if newest is not None and max_age is not None:
        reason = f"the entry of {newest.source.text} is older than {duration(max_age)}"
        return CacheDecision(reason=reason, fields=fields, nearest=newest)
    found = [each for each in others if may_read(_trust(each), reader)]
    nearest = min(found, key=lambda each: (len(_differing(each, fields)), -each.made), default=None)
    if nearest is None:
        return CacheDecision(reason="no command with its inputs is in the cache", fields=fields)
    names = ", ".join(_differing(nearest, fields)) or "the secrets of a user"
    reason = f"differs from {nearest.source.text}: {names}"
    return CacheDecision(reason=reason, fields=fields, nearest=nearest)


def _trust(entry: CacheEntry) -> Trust:
    return Trust(entry.private_to, entry.with_secrets)


def _differing(entry: CacheEntry, fields: Mapping[str, str]) -> list[str]:
    return [name for name in FIELDS if entry.fields.get(name) != fields[name]]


def with_names(
    decision: CacheDecision,
    fingerprint: str | None,
    code: Sequence[str],
    files: Sequence[str] = (),
) -> CacheDecision:
    """Return a decision whose reason names the secrets, results and files that differ.

    Args:
        decision: A miss.
        fingerprint: That of the Exec.
        code: The copied files that differ.
        files: The files of the data that differ.
    """
    entry = decision.nearest
    if entry is None or decision.fields is None or not _differing(entry, decision.fields):
        return decision
    named: dict[str, Sequence[str]] = {"code": code, "files": files}
    if entry.fingerprint is not None and fingerprint is not None:
        changes = differences(entry.fingerprint, fingerprint)
        named |= {each.field: each.names for each in changes if each.field == "secrets"}
        named["results"] = changed_results(entry.fingerprint, fingerprint)
    texts = [_named(name, named.get(name, ())) for name in _differing(entry, decision.fields)]
    reason = f"differs from {entry.source.text}: {', '.join(texts)}"
    return CacheDecision(reason=reason, fields=decision.fields, nearest=entry)


def codes_to_compare(decision: CacheDecision, fingerprint: str | None) -> tuple[str, str] | None:
    """Return the identities of the copied code whose files a miss names; None: no files differ."""
    entry = decision.nearest
    if entry is None or decision.fields is None or "code" not in _differing(entry, decision.fields):
        return None
    if entry.fingerprint is None or fingerprint is None:
        return None
    before, now = code_of(entry.fingerprint), code_of(fingerprint)
    return None if before is None or now is None else (before, now)


#: Maximum number of names in a reason.
_NAMED: Final = 3


def _named(name: str, names: Sequence[str]) -> str:
    if not names:
        return name
    more = len(names) - _NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"{name} ({', '.join(names[:_NAMED])}{rest})"


# ---- the outcomes that are stored ---------------------------------------------------------------


def not_stored(attempt: AttemptRecord, record: PipelineRecord) -> str | None:
    """Return why an ended attempt of a cached command is not stored, or None."""
    outputs = attempt.outputs
    if attempt.state is not State.DONE or attempt.cause is not None:
        return "it failed"
    if is_untrusted(record):
        return "it runs a pull request from a fork"
    if outputs is not None and outputs.artifacts:
        return "it declared artifacts, which are files that the cache does not keep yet"
    return None


def program_of(record: PipelineRecord) -> str:
    """Return the program of a pipeline, as entries name it."""
    return " ".join(filter(None, program_key(record)))


def entry_of(
    fields: Mapping[str, str],
    attempt: AttemptRecord,
    record: PipelineRecord,
    trust: Trust,
    size: int,
) -> CacheEntry:
    """Return the entry of an ended attempt that is stored."""
    started, ended = attempt.started or 0.0, attempt.ended or 0.0
    return CacheEntry.model_validate(
        {
            "key": key_of(fields, trust),
            "fields": dict(fields),
            "fingerprint": attempt.fingerprint,
            "source": {
                "pipeline": record.id,
                "path": attempt.path,
                "attempt": attempt.number,
            },
            "program": program_of(record),
            "made": ended,
            "seconds": max(0.0, ended - started),
            "private_to": trust.private_to,
            "with_secrets": trust.with_secrets,
            "outputs": attempt.outputs,
            "size": size,
            "used": ended,
        }
    )


#: Maximum number of files that an entry names as differing.
MAX_VARYING: Final = 20


def with_varying(
    entry: CacheEntry,
    streams: Mapping[str, bytes],
    known: CacheEntry | None,
    earlier: Mapping[str, bytes],
) -> CacheEntry:
    """Return an entry with the names of the outcomes that differ from those of the known one.

    Output and metrics do not count: they have times.

    Args:
        entry: The new entry.
        streams: Its streams.
        known: The entry with its key; None: there is none.
        earlier: The streams of that.
    """
    if known is None:
        return entry
    results = streams.get("result", b""), earlier.get("result", b"")
    found = [] if results[0] == results[1] else ["result"]
    now, before = (FileUse.from_bytes(each.get("files", b"")) for each in (streams, earlier))
    found += changed_names(before.wrote, now.wrote)
    varies = dict.fromkeys((*known.varies, *found))
    return entry.model_copy(update={"varies": tuple(varies)[:MAX_VARYING]})


# ---- the streams of an entry --------------------------------------------------------------------

_CUT: Final = "conducto: the first {:,} bytes are in the output of {} only\n"


def kept_output(data: bytes, size: int, source: str) -> bytes:
    """Return the part of an output stream that an entry keeps: its end.

    Args:
        data: The end of the stream, at most `KEPT_OUTPUT` bytes.
        size: Bytes of the stream.
        source: The attempt that has it.
    """
    if size <= len(data):
        return data
    _, _, lines = data.partition(b"\n")
    return _CUT.format(size - len(lines), source).encode() + lines


def pack_streams(streams: Mapping[str, bytes]) -> bytes:
    """Return streams as stored bytes."""
    given = {name: base64.b64encode(data).decode() for name, data in streams.items() if data}
    return zlib.compress(json.dumps(given).encode(), 1)


def unpack_streams(packed: bytes) -> dict[str, bytes]:
    """Return the streams that `pack_streams` packed.

    Raises:
        ValueError: they are damaged.
    """
    try:
        given = json.loads(zlib.decompress(packed))
        return {name: base64.b64decode(text, validate=True) for name, text in given.items()}
    except (zlib.error, AttributeError, TypeError) as error:
        raise ValueError(f"damaged streams: {error}") from error
