"""``python -m conducto_emulator FOLDER``: an emulator until SIGTERM; `conducto cloud-emulator`."""

import argparse
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from conducto_core.installation.names import Variables
from conducto_emulator import resources
from conducto_emulator.emulator import Emulator
from conducto_emulator.faults.capacity import Scarcity
from conducto_emulator.faults.latency import Dice, Latency
from conducto_emulator.faults.strict import Strictness
from conducto_emulator.gateway.gateway import LOOPBACK
from conducto_emulator.gateway.identity import IdentityError, IdentityProvider
from conducto_emulator.lambdas.app import AppError
from conducto_emulator.moto.server import AddressError, Ports, shared_address
from conducto_emulator.resources import Options
from conducto_emulator.stripe.server import EmulatedBilling
from conducto_emulator.tasks.containers import AgentImageError

logger = logging.getLogger(__name__)

ORG, USER = "local", "me"
#: Files in the folder: the address of the emulator, and its error if it failed.
STATE, FAILURE = "emulator.json", "failure.txt"
#: File with the ports that an emulator of the folder used last.
PORTS = "ports.json"


#: ``{setting of a deployment: variable of the functions}``.
SETTINGS = {
    "buckets": Variables.BUCKETS,
    "log_bucket": Variables.LOG_BUCKET,
    "otlp_endpoint": Variables.OTLP_ENDPOINT,
    "otlp_headers_secret": Variables.OTLP_HEADERS_SECRET,
    "queues": Variables.QUEUES,
    "secret_stores": Variables.SECRET_STORES,
}


def main(words: Sequence[str]) -> int:
    """Run the emulator until SIGTERM or SIGINT; return the exit code."""
    parser = argparse.ArgumentParser(prog="conducto_emulator")
    parser.add_argument("folder", type=Path, help="directory of its files")
    parser.add_argument(
        "--port", type=int, default=0, help="port of the API; a free one by default"
    )
    parser.add_argument("--base", help="base image of the agent's image")
    parser.add_argument("--strict", action="store_true", help="enforce AWS's limits")
    parser.add_argument("--latency", choices=["aws"], help="respond as slowly as AWS")
    parser.add_argument("--identity", type=Path, help="directory of the identity provider")
    parser.add_argument("--billing", action="store_true", help="charge with a double of Stripe")
    parser.add_argument("--warm-workers", type=int, default=0, help="size of the warm pool")
    parser.add_argument("--machines", default="", help="machine classes, as for a deployment")
    parser.add_argument(
        "-c", dest="settings", action="append", default=[], help="NAME=VALUE, as for a deployment"
    )
    parser.add_argument("--scarce", type=float, default=0.0, help="part of tasks without capacity")
    parser.add_argument("--seed", type=int, help="seed of random effects; random by default")
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        return _emulate(arguments.folder, _options(arguments), words[1:])
    except (AddressError, AgentImageError, AppError, IdentityError, OSError) as error:
        (arguments.folder / FAILURE).write_text(f"{error}\n", "utf-8")
        return 1


def _options(arguments: argparse.Namespace) -> Options:
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    if arguments.strict or arguments.latency or arguments.scarce:
        logger.info("to repeat the random effects: --seed %s", seed)
    folder: Path | None = arguments.identity
    ports = Ports(arguments.folder / PORTS, (shared_address(), LOOPBACK))
    return Options(
        arguments.folder / "files",
        port=ports.choose("api", arguments.port),
        aws_port=ports.choose("aws"),
        base=arguments.base,
        strict=Strictness(seed) if arguments.strict else None,
        scarcity=Scarcity(Dice(seed), arguments.scarce) if arguments.scarce else None,
        latency=Latency(seed) if arguments.latency else None,
        billing=(lambda: EmulatedBilling(ports.choose("stripe"))) if arguments.billing else None,
        variables={
            Variables.WARM_WORKERS: str(arguments.warm_workers),
            Variables.MACHINES: arguments.machines,
            **{SETTINGS[one[0]]: one[2] for one in (s.partition("=") for s in arguments.settings)},
        },
        identity=None
        if folder is None
        else lambda page: IdentityProvider(page, folder, ports.choose("identity")),
    )


def _emulate(folder: Path, options: Options, words: Sequence[str]) -> int:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: told.set())
    emulator = Emulator(options)
    try:
        emulator.start()
        _write_state(folder / STATE, emulator, words)
        told.wait()
    finally:
        (folder / STATE).unlink(missing_ok=True)
        emulator.close()
    return 0


def _write_state(path: Path, emulator: Emulator, words: Sequence[str]) -> None:
    stripe = emulator.stripe
    state = {
        "pid": os.getpid(),
        "url": emulator.url,
        "aws": emulator.moto.endpoint,
        "region": resources.REGION,
        # For 'conducto admin': users who can read this file administer the emulator.
        "key": {"id": emulator.key.id, "secret": emulator.key.secret},
        "mark": emulator.mark,
        "programs": str(emulator.programs),
        "token": emulator.token(ORG, USER),
        "options": list(words),
        "stripe": None if stripe is None else {"url": stripe.url, "key": stripe.key},
    }
    part = path.with_suffix(".part")
    part.touch(mode=0o600)
    part.write_text(json.dumps(state), "utf-8")
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
