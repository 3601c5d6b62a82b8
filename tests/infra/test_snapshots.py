"""A digest of the templates as last reviewed: a change of permissions or retention fails here.

`UPDATE_SNAPSHOTS=1 pytest tests/infra/test_snapshots.py` writes the digests again. The default
installation is kept whole, the others as their differences from it.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest

from support.installation import VARIANTS, templates
from support.template_digest import difference, digest, text_of

FOLDER = Path(__file__).with_name("snapshots")
Resources = dict[str, dict[str, Any]]


def _of_type(resources: Resources, kind: str) -> dict[str, Any]:
    """Return the properties of a resource of a type."""
    return next(r["Properties"] for r in resources.values() if r["Type"] == kind)


def _first_statement(resources: Resources) -> dict[str, Any]:
    return _of_type(resources, "AWS::IAM::Policy")["PolicyDocument"]["Statement"][0]


def _one_more_action(resources: Resources) -> None:
    statement = _first_statement(resources)
    statement["Action"] = [statement["Action"], "s3:DeleteBucket"]


def _drop_removal_policies(resources: Resources) -> None:
    for resource in resources.values():
        resource.pop("DeletionPolicy", None)


#: Changes that a reviewer must see, by their effect on the resources of a stack.
CHANGES: dict[str, tuple[str, Callable[[Resources], object]]] = {
    "an action": ("api", _one_more_action),
    "a resource": ("api", lambda r: _first_statement(r).update(Resource="*")),
    "a condition": ("api", lambda r: _first_statement(r).update(Condition={"Null": {"a": "true"}})),
    "a trust policy": (
        "api",
        lambda r: _of_type(r, "AWS::IAM::Role")["AssumeRolePolicyDocument"]["Statement"][0].update(
            Principal={"AWS": "*"}
        ),
    ),
    "removal": ("data", _drop_removal_policies),
    "retention of logs": (
        "api",
        lambda r: _of_type(r, "AWS::Logs::LogGroup").pop("RetentionInDays"),
    ),
    "encryption of files": (
        "data",
        lambda r: _of_type(r, "AWS::EFS::FileSystem").update(Encrypted=False),
    ),
    "encryption of a bucket": (
        "data",
        lambda r: _of_type(r, "AWS::S3::Bucket").pop("BucketEncryption"),
    ),
    "memory": ("api", lambda r: _of_type(r, "AWS::Serverless::Function").update(MemorySize=128)),
    "a timeout": ("api", lambda r: _of_type(r, "AWS::Serverless::Function").update(Timeout=1)),
    "a new resource": ("data", lambda r: r.update(New={"Type": "AWS::S3::Bucket"})),
}


def _plain(variant: str) -> dict[str, dict[str, Any]]:
    """Return ``{stack: template}`` with the stage's name replaced."""
    stage = VARIANTS[variant].get("stage", "main")
    text = json.dumps(templates(variant), sort_keys=True)
    text = text.replace(f"conducto{stage}", "conductoSTAGE")
    text = re.sub(r"[0-9a-f]{64}", "HASH", text)  # of files, which change more often
    return json.loads(re.sub(rf"(?<![A-Za-z]){stage}(?![A-Za-z])", "STAGE", text))


@pytest.mark.parametrize("variant", VARIANTS)
def test_templates_equal_the_reviewed_digest(variant: str) -> None:
    found = digest(_plain(variant))
    if variant != "default":
        found = difference(found, digest(_plain("default")))
    file = FOLDER / f"{variant.replace(' ', '-')}.txt"
    if "UPDATE_SNAPSHOTS" in os.environ:
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text_of(found))

    changes = unified_diff(
        file.read_text().splitlines(), text_of(found).splitlines(), "reviewed", "now", lineterm=""
    )
    assert not (text := "\n".join(changes)), (
        f"review the change, then run with UPDATE_SNAPSHOTS=1:\n{text}"
    )


@pytest.mark.parametrize("change", CHANGES)
def test_digest_shows_changes_that_need_a_review(change: str) -> None:
    before = templates("default")
    stack, apply = CHANGES[change]
    after = copy.deepcopy(before)
    apply(after[stack]["Resources"])

    assert text_of(digest(after)) != text_of(digest(before))
