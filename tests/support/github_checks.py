"""The part of GitHub's double that has check runs, with the schema of its OpenAPI description.

A check run is that of the App whose token created it; an ended one stays ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

_TEXT = {"type": "string"}
_ANNOTATION = {
    "type": "object",
    "required": ["path", "start_line", "end_line", "annotation_level", "message"],
    "properties": {
        "path": _TEXT,
        "start_line": {"type": "integer", "minimum": 1},
        "end_line": {"type": "integer", "minimum": 1},
        "annotation_level": {"enum": ["notice", "warning", "failure"]},
        "message": {"type": "string", "maxLength": 65_536},
        "title": {"type": "string", "maxLength": 255},
    },
    "additionalProperties": False,
}
_ACTION = {
    "type": "object",
    "required": ["label", "description", "identifier"],
    "properties": {
        "label": {"type": "string", "maxLength": 20},
        "description": {"type": "string", "maxLength": 40},
        "identifier": {"type": "string", "maxLength": 20},
    },
    "additionalProperties": False,
}
_CONCLUSIONS = ["action_required", "cancelled", "failure", "neutral", "success", "timed_out"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "head_sha"],
    "properties": {
        "name": _TEXT,
        "head_sha": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
        "details_url": {"type": "string", "pattern": "^https?://"},
        "external_id": _TEXT,
        "status": {"enum": ["queued", "in_progress", "completed"]},
        "conclusion": {"enum": _CONCLUSIONS},
        "output": {
            "type": "object",
            "required": ["title", "summary"],
            "properties": {
                "title": _TEXT,
                "summary": {"type": "string", "maxLength": 65_535},
                "annotations": {"type": "array", "maxItems": 50, "items": _ANNOTATION},
            },
            "additionalProperties": False,
        },
        "actions": {"type": "array", "maxItems": 3, "items": _ACTION},
    },
    "if": {"properties": {"status": {"const": "completed"}}, "required": ["status"]},
    "then": {"required": ["conclusion"]},
    "additionalProperties": False,
}


@dataclass
class CheckRuns:
    """The check runs of a host.

    Attributes:
        runs: Each with the repository, and all annotations so far.
        gone: Commits that were force-pushed away.
        requests: Number of accepted requests.
    """

    runs: list[dict[str, Any]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    requests: int = 0

    def create(self, repository: str, body: dict[str, Any]) -> tuple[int, object]:
        refused = self._refused(body)
        if refused is not None:
            return refused
        number = len(self.runs) + 1
        self.runs.append({"id": number, "repository": repository, "annotations": []})
        self._write(self.runs[-1], body)
        return 201, {"id": number, "external_id": body.get("external_id", "")}

    def update(self, repository: str, number: int, body: dict[str, Any]) -> tuple[int, object]:
        run = next((each for each in self.runs if each["id"] == number), None)
        if run is None or run["repository"] != repository:
            return 404, {"message": "Not Found"}
        refused = self._refused(body)
        if refused is not None:
            return refused
        self._write(run, body)
        return 200, {"id": number}

    def listed(self, repository: str, sha: str, name: str) -> tuple[int, object]:
        found = [
            {key: run.get(key) for key in ("id", "external_id", "status", "name")}
            for run in reversed(self.runs)
            if (run["repository"], run["head_sha"], run["name"]) == (repository, sha, name)
        ]
        return 200, {"total_count": len(found), "check_runs": found}

    def _refused(self, body: dict[str, Any]) -> tuple[int, object] | None:
        error = next(Draft202012Validator(SCHEMA).iter_errors(body), None)
        if error is not None:
            return 422, {"message": f"Invalid request. {error.message[:200]}"}
        if body["head_sha"] in self.gone:
            return 422, {"message": f"No commit found for SHA: {body['head_sha']}"}
        return None

    def _write(self, run: dict[str, Any], body: dict[str, Any]) -> None:
        self.requests += 1
        run["annotations"] += body.get("output", {}).get("annotations", [])
        run.update(body)
