"""``conducto cloud-emulator`` beside a running emulator: its options, its ports, Stripe's clock."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from conducto_emulator.moto.server import Ports, free_port
from conducto_emulator.stripe.account import FAILING_CARD, PERIOD
from conducto_emulator.stripe.server import StripeDouble
from support.running import CONDUCTO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
URL = "http://10.0.0.1:8123"
AWS = "http://10.0.0.1:8124"


class Running:
    """The state of an emulator whose process runs."""

    def __init__(self, base: Path, pid: int) -> None:
        self._base = base
        self._pid = pid

    def write(self, *options: str, stripe: StripeDouble | None = None) -> None:
        double = None if stripe is None else {"url": stripe.url, "key": stripe.key}
        state: dict[str, Any] = {
            "pid": self._pid, "url": URL, "options": options, "stripe": double, "aws": AWS,
            "region": "us-east-1", "key": {"id": "id", "secret": "a'b"},
        }  # fmt: skip
        folder = self._base / "cloud-emulator"
        folder.mkdir(exist_ok=True)
        (folder / "emulator.json").write_text(json.dumps(state))

    def run(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", CONDUCTO, "cloud-emulator", *words],
            env={**os.environ, "CONDUCTO_BASE_DIR": str(self._base)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    words = [sys.executable, "-c", "import sys; sys.stdin.read()", "conducto_emulator"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        yield Running(tmp_path, process.pid)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def stripe() -> Iterator[StripeDouble]:
    double = StripeDouble(HOST, free_port(HOST))
    double.start()
    double.set_up("http://127.0.0.1:9/hooks", ("0.1", "0.1"))
    yield double
    double.close()


@pytest.mark.parametrize(
    "words", [(), ("--billing",), ("--warm-workers", "2", "--billing"), ("--port", "8123")]
)
def test_running_emulator_with_the_requested_options_is_accepted(
    running: Running, words: tuple[str, ...]
) -> None:
    running.write("--billing", "--warm-workers", "2")

    assert running.run("up", *words) == (0, f"the emulator runs already, at {URL}\n")


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (("--strict",), "--strict"),
        (("--billing", "--warm-workers", "3"), "'--warm-workers 3'"),
        (("--port", "8124", "--latency", "aws"), "'--port 8124', '--latency aws'"),
        (("-c", "log_bucket=logs", "-c", "secret_stores=ssm:/x/"), "'-c log_bucket=logs'"),
    ],
)
def test_running_emulator_with_other_options_is_an_error(
    running: Running, words: tuple[str, ...], missing: str
) -> None:
    running.write("--billing", "--warm-workers", "2", "-c", "secret_stores=ssm:/x/")

    code, said = running.run("up", *words)

    assert code == 1
    assert f"runs already, at {URL}, without {missing.replace(chr(39), '')}; " in said
    assert "conducto cloud-emulator down" in said


def test_variables_for_the_aws_cli_are_printed(running: Running) -> None:
    assert running.run("env") == (1, "no emulator is running\n")
    running.write()

    code, printed = running.run("env")

    assert code == 0
    script = f"{printed}echo $AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID $AWS_SECRET_ACCESS_KEY"
    shell = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == f"{AWS} id a'b\n"


def test_failed_payment_is_seen_after_the_clock_of_stripe_is_moved(
    running: Running, stripe: StripeDouble
) -> None:
    running.write("--billing", stripe=stripe)
    account = stripe.account
    customer = account.add("cus", "customer")
    prices = [each["id"] for each in account.all("price")]
    session = account.add("cs", "checkout.session", customer=customer["id"])
    session |= {"_metadata": {}, "_prices": prices}
    subscription = account.subscribe(session, FAILING_CARD)

    before = running.run("stripe", "advance", "7d")
    after = running.run("stripe", "advance", "24d")

    assert (before[0], f"{subscription['id']}: active" in before[1]) == (0, True), before[1]
    assert (after[0], f"{subscription['id']}: past_due" in after[1]) == (0, True), after[1]
    assert account.skew == pytest.approx(PERIOD + 86_400)


def test_clock_of_stripe_stays_in_the_range_of_its_usage(
    running: Running, stripe: StripeDouble
) -> None:
    running.write("--billing", stripe=stripe)

    code, said = running.run("stripe", "advance", "36d")

    assert (code, "at most 35 days ahead" in said) == (1, True)
    assert stripe.account.skew == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("stripe", "advance", "7d"), 1, "conducto cloud-emulator up --billing"),
        (("stripe", "advance", "soon"), 2, "must be a time such as 30m or 2h, got 'soon'"),
        (("stripe",), 2, "stripe advance TIME"),
        (("status", "now"), 2, "status takes no arguments, got 'now'"),
        (("up", "-c", "events=true"), 2, "must be one of buckets, log_bucket, otlp_endpoint"),
        (("up", "-c", "log_bucket"), 2, "with '=', got 'log_bucket'"),
        (("up", "-c", "log_bucket=s3://logs"), 2, "log_bucket: 's3://logs' is not valid"),
        (("up", "-c", "otlp_endpoint=127.0.0.1:4318"), 2, "otlp_endpoint: '127.0.0.1:4318' is"),
        (("up", "-c", "secret_stores=x:y"), 2, "secret_stores: "),
        (("up", "-c", "queues=orders"), 2, "queues: 'orders' is not ORG=ARN"),
    ],
)
def test_wrong_requests_name_the_right_ones(
    running: Running, words: tuple[str, ...], code: int, message: str
) -> None:
    running.write()

    found, said = running.run(*words)

    assert (found, message in said) == (code, True), said


def test_ports_are_the_same_after_a_restart(tmp_path: Path) -> None:
    first = Ports(tmp_path / "ports.json", [HOST])
    chosen = [first.choose("api"), first.choose("aws")]

    second = Ports(tmp_path / "ports.json", [HOST])

    assert [second.choose("api"), second.choose("aws")] == chosen


def test_port_that_another_program_uses_is_replaced(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json", [HOST])
    with socket.create_server((HOST, ports.choose("api"))) as other:
        taken = other.getsockname()[1]

        assert ports.choose("api") != taken


def test_requested_port_is_used_again(tmp_path: Path) -> None:
    ports = Ports(tmp_path / "ports.json", [HOST])
    wanted = ports.choose("other")

    assert ports.choose("api", wanted) == wanted
    assert Ports(tmp_path / "ports.json", [HOST]).choose("api") == wanted


def test_damaged_file_of_ports_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"api": "x", "aws": 99999999}')
    ports = Ports(tmp_path / "ports.json", [HOST])

    assert 0 < ports.choose("api") < 65_536
    assert 0 < ports.choose("aws") < 65_536
