"""Triggers by events on this machine: a webhook at the agent's port launches a script."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from support.running import person_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.running import Person

SCRIPT = """import json

import conducto as co


def load(country: str, count: int) -> None:
    print(json.dumps([country, count, co.payload()]))


def daily(country: str, count: int = 3) -> co.Serial:
    root = co.Serial(image=co.Image("python:3.11-slim", copy_dir="."))
    root["load"] = co.Exec(load, country, count, results=[co.payload()])
    root["shell"] = co.Exec("conducto result //payload", results=[co.payload()])
    return root


if __name__ == "__main__":
    co.main(default=daily)
"""


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    with person_at(tmp_path_factory.mktemp("home")) as person:
        yield person


@pytest.fixture(scope="module")
def program(ann: Person) -> str:
    """The id of a pipeline of the script."""
    (ann.base / "app").mkdir()
    script = ann.base / "app" / "pipeline.py"
    script.write_text(SCRIPT)
    return ann.run(script, "daily", "--country=DE", "--engine=process").id


def post(url: str, secret: str, payload: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        url,
        data=json.dumps(payload).encode(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ended(ann: Person, name: str, *known: str) -> dict[str, Any]:
    """Return the newest firing of a trigger when it has failed or its pipeline has ended.

    A delivery is confirmed before its firing is listed; ``known`` are the ids of earlier ones.
    """
    until = time.monotonic() + 120
    while time.monotonic() < until:
        every = ann.read("trigger", "firings", name)["firings"]
        firings = [each for each in every if each["id"] not in known]
        firing: dict[str, Any] = firings[0] if firings else {"state": "none", "outcome": None}
        if firing["state"] == "failed" or firing["outcome"] is not None:
            return firing
        time.sleep(0.2)
    raise AssertionError(f"the firing has not ended: {firing}")


def test_webhook_launches_the_script_with_parameters_and_payload(ann: Person, program: str) -> None:
    made = ann.read(
        "trigger", "add", "orders", "--event", "webhook", "--program", program,
        "--param", "country=$.detail.country", "--param", 'count=$.items[0]["the count"]',
        "--redact", "$.card",
    )  # fmt: skip
    payload = {"detail": {"country": "FR"}, "items": [{"the count": 7}], "card": "4242"}

    assert post(**made["hook"], payload=payload)[0] == 202

    firing = ended(ann, "orders")
    assert (firing["state"], firing["outcome"]) == ("launched", "done")
    shown = {**payload, "card": "***"}
    printed = [
        json.loads(ann.ask("logs", firing["pipeline"], path, "--stdout").stdout)
        for path in ("/load", "/shell")
    ]
    assert printed == [["FR", 7, shown], shown]
    assert json.loads(ann.ask("trigger", "payload", "orders", firing["id"]).stdout) == shown

    again = ann.read("trigger", "replay", "orders", firing["id"])
    assert again["pipeline"] not in (None, firing["pipeline"])
    assert post(**made["hook"], payload={"items": [{"the count": "x"}]})[0] == 202
    assert (
        "the payload has no value at $.detail.country"
        in ended(ann, "orders", firing["id"], again["id"])["why"]
    )
    assert post(made["hook"]["url"], "wrong", payload)[0] == 401
    ann.ask("trigger", "rm", "orders", "--yes")
    assert post(**made["hook"], payload=payload)[0] == 404


def test_commands_show_the_parameters_of_a_payload(ann: Person, program: str) -> None:
    file = ann.base / "payload.json"
    file.write_text('{"land": "IT"}')
    ann.ask(
        "trigger", "add", "try", "--event=webhook", f"--program={program}", "--param=country=$.land"
    )

    tried = ann.ask("trigger", "try", "try", "--payload", str(file))

    assert tried.stdout == "country=IT\n"
    assert ann.read("trigger", "firings", "try")["firings"] == []
    listed = ann.ask("trigger", "list").stdout
    assert "try" in listed
    assert "webhook" in listed
    assert "no schedules yet" in ann.ask("schedule", "list").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--param", "land=$.a"], "the program has no parameter 'land'"),
        (["--param", "country=$.a[*]"], "character 4"),
        (["--param", "country"], "write NAME=PATH"),
        (["--redact", "card"], "character 1"),
        (["--debounce", "2h"], "from 1s to 1h"),
        (["--repository", "https://github.com/a/b"], "give one of --repository URL and --event"),
    ],
)
def test_invalid_options_are_rejected(
    ann: Person, program: str, words: list[str], message: str
) -> None:
    done = ann.conducto("trigger", "add", "bad", "--event=webhook", f"--program={program}", *words)

    assert done.returncode == 2
    assert message in done.stderr


def test_new_file_launches_the_script(ann: Person, program: str) -> None:
    inbox = ann.base / "inbox"
    inbox.mkdir()
    ann.ask(
        "trigger", "add", "inbox", "--event=watch", "--directory=inbox", f"--program={program}",
        "--param=country=$.name", "--param=count=$.size",
    )  # fmt: skip

    (inbox / "FR").write_text("12345")

    firing = ended(ann, "inbox")
    assert firing["outcome"] == "done"
    printed = json.loads(ann.ask("logs", firing["pipeline"], "/load", "--stdout").stdout)
    assert printed[:2] == ["FR", 5]
    assert printed[2]["path"] == str(inbox / "FR")
