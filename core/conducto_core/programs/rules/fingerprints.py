"""The fingerprint of an Exec: digests of its inputs, compared field by field.

A fingerprint is a text of six digests, which decide, and the record that names differences::

    <command> <environment> <secrets> <image> <size> <settings> {"base":…,"code":…,"secrets":{…},…}

Fingerprints of earlier versions have no record. Where both have one, the base image and the copied
files are compared in place of the image. No digest depends on the value of a secret.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from conducto.wire import fields
from conducto_core.tree.model import NodeSpec

#: The digests of a fingerprint, in order, as reasons name them.
FIELDS: Final = (
    "command",
    "environment",
    "secrets",
    "image digest",
    "CPUs or memory",
    "container settings",
)
_SECRETS, _IMAGE = FIELDS.index("secrets"), FIELDS.index("image digest")
#: The fields that stand for the image where both fingerprints have a record, and that of results.
BASE, CODE, RESULTS = "base image", "code", "results"
#: An image that is not known yet, or secrets that are not compared: equal to every other.
ANY: Final = "*"
NO_DIGEST: Final = "its image has no digest"
_DIGITS: Final = 16
_SHORT: Final = 8

#: ``{name: (scope and set, time of the last change)}`` of secrets.
SecretOrigins = Mapping[str, tuple[str, float]]


class ImageContent(NamedTuple):
    """An image, as fingerprints compare it.

    Attributes:
        reference: Its digest or name; `ANY` is equal to every other. None: it cannot be compared.
        base: Identity of the image below the copied files; None if it is unknown.
        code: Identity of the copied files, by which their manifest is found; "" without any.
    """

    reference: str | None
    base: str | None = None
    code: str = ""


class FieldChange(NamedTuple):
    """A field in which two fingerprints differ.

    Attributes:
        names: The secrets or results that differ, if they are known.
    """

    field: str
    names: tuple[str, ...] = ()


def fingerprint(
    spec: NodeSpec,
    script: str,
    image: ImageContent | str | None,
    secrets: SecretOrigins | str,
    hide: Callable[[str], str] = str,
    *,
    results: Mapping[str, bytes] | None = None,
) -> str | None:
    """Return the fingerprint of the inputs of an Exec, or None if its image has no digest.

    Args:
        spec: The resolved Exec.
        script: Its command as it runs.
        image: Its image, or only the digest of it.
        secrets: Those that it receives, or `ANY`.
        hide: Masks the values of secrets, so that no digest depends on one.
        results: ``{path: result}`` that it uses, if they are known.
    """
    if spec.expansion is not None:  # its image and its secrets do not matter
        script = f"{spec.command} {json.dumps(spec.expansion.to_wire(), sort_keys=True)}"
        image, secrets = ANY, ANY
    content = image if isinstance(image, ImageContent) else ImageContent(image)
    if content.reference is None:
        return None
    place = spec.placement
    parts = (
        hide(script),
        (tuple((name, hide(value)) for name, value in sorted(spec.env.items())), spec.results),
        secrets if isinstance(secrets, str) else _version_of(secrets),
        content.reference,
        (
            place.cpu,
            fields.AUTO if spec.auto_mem else place.mem,
            *((place.arch,) if place.arch else ()),
        ),
        (
            *(place.gpu, place.requires_docker, place.docker_run_args, spec.pool, spec.lazy_target),
            *((each.name, each.to_wire()) for each in place.services),
            *((each.path, each.to_wire()) for each in place.buckets),
        ),
    )
    words = " ".join(ANY if part == ANY else _digest_of(repr(part)) for part in parts)
    known: dict[str, object] = {}
    if content.base is not None:
        known = {"base": _digest_of(content.base), "code": content.code}
    if not isinstance(secrets, str):
        known["secrets"] = {n: _digest_of(repr(each))[:_SHORT] for n, each in secrets.items()}
    if results:
        known["results"] = {path: _result_digest(data) for path, data in results.items()}
    return f"{words} {json.dumps(known, separators=(',', ':'), sort_keys=True)}" if known else words


def differences(before: str, now: str) -> list[FieldChange]:
    """Return the fields in which two fingerprints differ, but for `RESULTS`."""
    old, first = _parsed(before)
    new, second = _parsed(now)
    has_both = "base" in first and "base" in second
    found = []
    for at, field in enumerate(FIELDS):
        if at == _IMAGE and has_both:
            found += [
                FieldChange(name)
                for key, name in (("base", BASE), ("code", CODE))
                if first[key] != second[key]
            ]
        elif old[at] != new[at] and ANY not in (old[at], new[at]):
            found.append(FieldChange(field, _names(first, second, at)))
    return found


def changed_results(before: str, now: str) -> list[str]:
    """Return the paths of the results that differ, where both fingerprints have them."""
    old, new = (_parsed(each)[1].get("results", {}) for each in (before, now))
    return [path for path in new if path in old and old[path] != new[path]]


def newer_results(written: str | None, results: Mapping[str, bytes]) -> list[str]:
    """Return the names of the results that are not those of a fingerprint.

    Args:
        written: The fingerprint of an attempt; None: unknown, so that all differ.
        results: ``{name: result}`` as they are now.
    """
    known = {} if written is None else _parsed(written)[1].get("results", {})
    return [name for name, data in results.items() if known.get(name) != _result_digest(data)]


def _result_digest(data: bytes) -> str:
    return _digest_of(repr(data))[:_SHORT]


def code_of(written: str) -> str | None:
    """Return the identity of the copied files of a fingerprint, "" without any; None: unknown."""
    code = _parsed(written)[1].get("code")
    return None if code is None else str(code)


def changed_names(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names whose values differ, with those that only one has."""
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the files that differ between two manifests, for people.

    Files in ``.git`` stand for the commit.
    """
    names = (
        "the commit" if name.startswith(".git/") else name for name in changed_names(before, now)
    )
    return list(dict.fromkeys(names))


#: The record of a fingerprint.
_Record = Mapping[str, Mapping[str, str]]


def _names(first: _Record, second: _Record, at: int) -> tuple[str, ...]:
    if at != _SECRETS or "secrets" not in first or "secrets" not in second:
        return ()
    return tuple(changed_names(first["secrets"], second["secrets"]))


def _parsed(written: str) -> tuple[list[str], _Record]:
    words = written.split(" ", len(FIELDS))
    record = words.pop() if len(words) > len(FIELDS) else "{}"
    return words, json.loads(record)


def _version_of(secrets: SecretOrigins) -> str:
    return secrets_version((scope, name, time) for name, (scope, time) in secrets.items())


def secrets_version(secrets: Iterable[tuple[str, str, float]]) -> str:
    """Return the version of secrets, which does not depend on their values.

    Args:
        secrets: The scope, the name and the time of the last change of each one.
    """
    names = sorted(secrets)
    return hashlib.sha256(repr(names).encode()).hexdigest() if names else ""


# Execs of one pipeline often differ only in their command.
@lru_cache(maxsize=256)
def _digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
