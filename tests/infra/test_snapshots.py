"""The templates as they were last looked at: a change of one is a change that somebody reads.

`UPDATE_SNAPSHOTS=1 pytest tests/infra/test_snapshots.py` writes them anew. The default installation
is kept whole, the others as what differs from it. Hashes of files are left out: they change with
each line of code.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from support.installation import VARIANTS, templates

FOLDER = Path(__file__).with_name("snapshots")
_HASH = re.compile(r"[0-9a-f]{64}")


def _plain(variant: str) -> dict[str, Any]:
    """Return ``{stack: template}`` with the stage's name and hashes replaced."""
    stage = VARIANTS[variant].get("stage", "main")
    text = json.dumps(templates(variant), sort_keys=True)
    text = _HASH.sub("HASH", text).replace(f"conducto{stage}", "conductoSTAGE")
    text = re.sub(rf"(?<![A-Za-z]){stage}(?![A-Za-z])", "STAGE", text)
    text = re.sub(r'"python3\.[0-9]+"', '"PYTHON"', text)
    return {name: _sections(template) for name, template in json.loads(text).items()}


def _sections(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what can be compared by name; routes are held by `test_watch_and_site`."""
    for resource in template.get("Resources", {}).values():
        if resource["Type"] == "AWS::Serverless::Api":
            resource["Properties"].pop("DefinitionBody")
    return {name: part for name, part in template.items() if isinstance(part, dict)}


def _difference(found: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """Return ``{stack: {section: {name: as it is, or None where it is not}}}``."""
    result: dict[str, Any] = {}
    for stack in sorted({*found, *base}):
        have, had = found.get(stack, {}), base.get(stack, {})
        for section in sorted({*have, *had}):
            new, old = have.get(section, {}), had.get(section, {})
            for name in sorted({*new, *old}):
                if new.get(name) != old.get(name):
                    result.setdefault(stack, {}).setdefault(section, {})[name] = new.get(name)
    return result


@pytest.mark.parametrize("variant", VARIANTS)
def test_templates_are_as_they_were_last_looked_at(variant: str) -> None:
    found = _plain(variant)
    if variant != "default":
        found = _difference(found, _plain("default"))
    file = FOLDER / f"{variant.replace(' ', '-')}.json"
    if "UPDATE_SNAPSHOTS" in os.environ:
        FOLDER.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    kept = json.loads(file.read_text())

    changed = sorted(
        f"{stack}/{section}/{name}"
        for stack, sections in _difference(found, kept).items()
        for section, names in sections.items()
        for name in names
    )
    assert changed == [], "look at them; UPDATE_SNAPSHOTS=1 takes them over"
