"""`conducto doctor`: what it says of a machine and of an account."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.fakes.deployment import FakeAccount, FakeMachine

from conducto.distribution import Collision
from conducto_cli.app.parser import build_parser
from conducto_cli.deploy.doctor_command import ThisHost
from conducto_cli.deploy.doctor_command import run as doctor
from conducto_cli.deploy.port import AccountError
from conducto_core.run.model.records import PipelineRecord
from conducto_core.workers.model import WarmPool
from conducto_local.agent.state_dir import open_state_dir
from conducto_local.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

Output = pytest.CaptureFixture[str]


class FakeHost:
    def __init__(self) -> None:
        self.free = 50 << 30
        self.agent_version = "1.0"
        self.no_engine = ""
        self.engine_warnings: tuple[str, ...] = ()
        self.warm: WarmPool | None = None
        self.away = False
        self.damaged: tuple[str, ...] = ()
        self.older: Collision | None = None

    def python(self) -> str:
        return "3.12.1"

    def engine(self) -> tuple[str, tuple[str, ...]]:
        if self.no_engine:
            raise RuntimeError(self.no_engine)
        return "docker 29.1, 2 CPUs, 8.0 GB", self.engine_warnings

    def free_bytes(self) -> int:
        return self.free

    def agent(self) -> tuple[str, str] | None:
        return (self.agent_version, "http://127.0.0.1:1") if self.agent_version else None

    def damage(self) -> tuple[str, ...]:
        return self.damaged

    def version(self) -> str:
        return "1.0"

    def collision(self) -> Collision | None:
        return self.older

    def warm_pool(self) -> WarmPool | None:
        if self.away:
            raise RuntimeError("no route")
        return self.warm


def run(host: FakeHost, *words: str, account: FakeAccount | None = None) -> int:
    arguments = build_parser().parse_args(["doctor", *words])
    return doctor(arguments, host, FakeMachine(), account or FakeAccount())


def test_older_checkout_is_reported_with_the_commands_that_repair_it(capsys: Output) -> None:
    host = FakeHost()
    host.older = Collision("0.9", is_ours=True, source=None)

    assert run(host) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warn  conducto")
    assert [line.strip() for line in lines[1:3]] == host.older.commands


def test_healthy_machine_gets_one_line_per_check(capsys: Output) -> None:
    assert run(FakeHost()) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "conducto"],
        ["ok", "engine"],
        ["ok", "disk"],
        ["ok", "agent"],
    ]


def test_missing_engine_shows_its_error_and_remedy(capsys: Output) -> None:
    host = FakeHost()
    host.no_engine = "no container engine is installed. Install one"

    assert run(host) == 1

    assert "fail  engine    no container engine is installed" in capsys.readouterr().out


def test_the_warm_pool_of_an_installation_has_a_price(capsys: Output) -> None:
    host = FakeHost()
    run(host, "--cloud")
    assert "warm pool" not in capsys.readouterr().out

    host.warm = WarmPool(workers=1, seconds=900)
    run(host, "--cloud")
    told = capsys.readouterr().out
    assert "up to 1 idle worker of an organisation stays 15 minutes for a rerun" in told
    assert "one for cpu=1 mem=2 costs $0.0588 an hour" in told

    host.away = True
    run(host, "--cloud")
    assert "skip  warm pool" in capsys.readouterr().out


def test_missing_engine_features_are_a_warning(capsys: Output) -> None:
    host = FakeHost()
    host.engine_warnings = ("this container engine does not enforce mem=",)

    assert run(host) == 0

    out = capsys.readouterr().out
    assert "warn  engine    docker 29.1" in out
    assert "does not enforce mem=" in out


@pytest.mark.parametrize(("free", "code", "status"), [(1 << 32, 0, "warn"), (1 << 29, 1, "fail")])
def test_full_disk_is_reported_with_remedy(
    free: int, code: int, status: str, capsys: Output
) -> None:
    host = FakeHost()
    host.free = free

    assert run(host) == code

    out = capsys.readouterr().out
    assert f"{status}  disk" in out
    assert "conducto gc" in out


def test_agent_of_another_version_is_reported(capsys: Output) -> None:
    host = FakeHost()
    host.agent_version = "0.9"

    assert run(host) == 0

    assert "conducto agent stop" in capsys.readouterr().out


def test_damaged_pipelines_are_named(capsys: Output) -> None:
    host = FakeHost()
    host.damaged = ("pipeline abc-abc is set aside. Repair it: conducto agent repair",)

    assert run(host) == 1

    assert "fail  store     pipeline abc-abc is set aside" in capsys.readouterr().out


def test_damage_of_a_store_is_found_without_an_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path))
    home = open_state_dir("test")
    home.make()
    store = SqliteStore.open(home.store)
    for name in ("abc-abc", "abd-abd"):
        store.create(PipelineRecord(id=name, title=name), b"")
    store.close()
    content = home.store.read_bytes()
    home.store.write_bytes(content.replace(b'"title":"abc-abc"', b'"title":"abc-\xffbc"'))

    (sentence,) = ThisHost("test").damage()

    assert "pipeline abc-abc is set aside" in sentence
    assert "conducto agent repair" in sentence


def test_no_agent_is_well(capsys: Output) -> None:
    host = FakeHost()
    host.agent_version = ""

    assert run(host) == 0

    assert "the next launch starts it" in capsys.readouterr().out


def test_cloud_is_checked_on_request(capsys: Output) -> None:
    account = FakeAccount()
    account.refusals["caller"] = AccountError("no credentials", "log in")

    assert run(FakeHost(), "--cloud", account=account) == 1

    out = capsys.readouterr().out
    assert "ok    node" in out
    assert "fail  credentials    no credentials\n" in out
    assert "skip  stacks" in out


def test_programs_get_json(capsys: Output) -> None:
    run(FakeHost(), "--cloud", "--json")

    found = json.loads(capsys.readouterr().out)
    assert {"name", "status", "text", "remedy"} == set(found[0])
    assert {f["status"] for f in found} == {"ok"}


def test_a_home_that_cannot_be_made_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CONDUCTO_BASE_DIR", str(tmp_path / "file" / "below"))

    with pytest.raises(RuntimeError, match="cannot be created or made private"):
        ThisHost().agent()
