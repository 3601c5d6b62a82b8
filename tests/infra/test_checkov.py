"""Findings of checkov in the templates: only justified ones.

checkov has a virtual environment of its own, since it pins an older boto3.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

import pytest

from support.installation import VARIANTS, write_templates

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]  # 300 MB to install

CHECKOV = "checkov==3.3.30"
FOLDER = Path(__file__).parents[2] / "build/checkov"
OWN_KEY = "a key of one's own costs $1 a month, and AWS encrypts with its own without it"

#: ``{rule and resources: why it stays}``: each pattern is for a whole ``rule stack/resource``.
ARGUED = {
    r"CKV_AWS_18 (data/Bucket|site/Site)\w+": (
        "access logs would need a bucket more; objects are reached through our functions, which "
        "log, and the site holds what every release holds"
    ),
    r"CKV_AWS_21 site/Site\w+": "a deployment writes it again, whole",
    r"CKV_AWS_26 watch/Topic\w+": "alarms cannot be sent to a topic with AWS's own key; they tell "
    "numbers and no data",
    r"CKV_AWS_27 watch/Lost\w+": "it is encrypted by SQS (SqsManagedSseEnabled); checkov asks for "
    "KMS",
    r"CKV_AWS_65 compute/Cluster": "Container Insights is paid for by the metric",
    r"CKV_AWS_68 site/Distribution\w+": "a firewall costs $5 a month and more while nobody comes",
    r"CKV_AWS_73 api/RestAPI": "traces begin in the functions, where `tracing` has them",
    r"CKV_AWS_(76|95) api/(RestAPI|WebsocketAPIStage)": "access logs of API Gateway need a role "
    "for the whole account, which is not ours to set",
    r"CKV_AWS_86 site/Distribution\w+": "access logs would need a bucket; the API logs requests",
    r"CKV_AWS_111 api/DataRole\w+": "network interfaces of a function: Lambda needs them on *",
    r"CKV_AWS_115 .*": "concurrency that one function reserves is lost to all others",
    r"CKV_AWS_116 .*": "what an asynchronous function cannot take in goes to the queue Lost of the "
    "stack watch by an EventInvokeConfig; the others are called and waited for",
    r"CKV_AWS_117 .*": "only Data needs the network, for files; AWS's APIs are public",
    r"CKV_AWS_120 api/RestAPI": "answers depend on who asks and on the moment",
    r"CKV_AWS_136 compute/AgentRepository\w+": f"it is encrypted with AES-256; {OWN_KEY}",
    r"CKV_AWS_158 .*": OWN_KEY,
    r"CKV_AWS_173 .*": f"variables hold names, no secrets; {OWN_KEY}",
    r"CKV_AWS_174 site/Distribution\w+": "CloudFront lets choose with one's own certificate only "
    "(`domain`): then it is TLS 1.2",
}


def checkov() -> Path:
    """Install checkov where it is missing; return its program."""
    done = FOLDER / "version"
    if not done.exists() or done.read_text() != f"{CHECKOV}\n{sys.version}":
        venv.create(FOLDER, clear=True, with_pip=True)
        subprocess.run([FOLDER / "bin/pip", "install", "--quiet", CHECKOV], check=True)
        done.write_text(f"{CHECKOV}\n{sys.version}")
    return FOLDER / "bin/checkov"


@cache
def findings() -> frozenset[str]:
    """Return ``rule stack/resource`` of every finding in any variant."""
    templates = FOLDER / "templates"
    program = checkov()
    for variant in VARIANTS:
        folder = templates / variant.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        write_templates(variant, folder)
    words = ("--framework", "cloudformation", "--skip-download", "--quiet", "--compact")
    done = subprocess.run(
        [program, "-d", str(templates), *words, "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 0
    return frozenset(_finding(each) for each in report["results"]["failed_checks"])


def _finding(check: dict[str, str]) -> str:
    stack = Path(check["file_path"]).name.partition(".")[0]
    return f"{check['check_id']} {stack}/{check['resource'].rpartition('.')[2]}"


def test_checkov_reports_only_justified_findings() -> None:
    assert [f for f in findings() if not any(re.fullmatch(p, f) for p in ARGUED)] == []


def test_every_argument_is_needed() -> None:
    assert [p for p in ARGUED if not any(re.fullmatch(p, f) for f in findings())] == []
