"""Buckets that an administrator registers, and the pipelines that mount them."""

import pytest

import conducto as co
from conducto.errors import DefinitionError
from conducto.tree.launch_form import to_launch_form
from conducto_core.billing.rules import BillingPlan
from conducto_core.buckets.rules import (
    OrgBuckets,
    RegisteredBucket,
    buckets_from_wire,
    buckets_to_wire,
    read_buckets,
    urls_of,
)
from conducto_core.installation.rules import WITHOUT_S3_FILES, limitations
from conducto_core.limits.rules import validate_nodes
from conducto_core.tree.rules.resolve import resolve

PLAN = BillingPlan("full", max_workers=10, max_cpu=96.0)
KNOWN = read_buckets("main=s3://acme/raw,main=s3://acme/year=2026:rw,team=s3://acme/raw:rw")


def test_registrations_are_read() -> None:
    assert (
        RegisteredBucket("main", "s3://acme/raw", "ro"),
        RegisteredBucket("main", "s3://acme/year=2026", "rw"),
        RegisteredBucket("team", "s3://acme/raw", "rw"),
    ) == KNOWN
    assert urls_of(KNOWN) == ("s3://acme/raw", "s3://acme/year=2026")
    assert read_buckets("") == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("s3://acme/raw", "expected ORG=s3://"),
        ("main=acme/raw", "the address of a bucket is"),
        ("main=s3://acme/raw:wo", "must be without"),
        ("main=s3://acme/r*w", "cannot name a prefix"),
        ("main=s3://a-b,main=s3://a-b:rw", "registered twice"),
        ("main=s3://acme,team=s3://acme/raw", "overlap"),
        ("main=s3://acme/../x", "must be without"),
    ],
)
def test_wrong_registrations_are_rejected(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_buckets(text)


@pytest.mark.parametrize(
    ("org", "url", "mode", "remedy"),
    [
        ("main", "s3://acme/raw", "rw", "registers it as main=s3://acme/raw:rw"),
        ("main", "s3://acme/raw/2026", "ro", "use the directory 2026 in it"),
        ("main", "s3://acme", "ro", "deploy -c buckets=main=s3://acme:ro"),
        ("main", "s3://acme/rawer", "ro", "which has: s3://acme/raw"),
        ("else", "s3://acme/raw", "ro", "which has: none"),
    ],
)
def test_other_buckets_are_rejected_with_a_remedy(
    org: str, url: str, mode: str, remedy: str
) -> None:
    problem = OrgBuckets(org, KNOWN).problem(co.Bucket(url, mode=mode))
    assert problem is not None
    assert remedy in problem


def test_registered_buckets_are_accepted_up_to_their_mode() -> None:
    team = OrgBuckets("team", KNOWN)
    assert team.problem(co.Bucket("s3://acme/raw", mode="rw")) is None
    assert team.problem(co.Bucket("s3://acme/raw")) is None


def test_forks_get_no_buckets() -> None:
    problem = OrgBuckets("main", KNOWN, trusted=False).problem(co.Bucket("s3://acme/raw"))
    assert "a pull request from a fork gets no buckets" in str(problem)


def test_launches_name_the_node_of_a_wrong_bucket() -> None:
    root = co.Serial(image="busybox", buckets={"/data": co.Bucket("s3://acme/raw")})
    root["good"] = co.Exec("true")
    root["bad"] = co.Exec("true", buckets={"/out": co.Bucket("s3://other")})
    nodes = resolve(to_launch_form(root)).nodes
    validate_nodes(nodes, PLAN)  # a client does not know the buckets
    with pytest.raises(DefinitionError, match=r"/bad.*s3://other is not registered for main"):
        validate_nodes(nodes, PLAN, OrgBuckets("main", KNOWN))


def test_the_wire_form_is_read_back() -> None:
    mounted = (co.Bucket("s3://acme/raw").at("/data"), co.Bucket("s3://b-c", mode="rw").at("/out"))
    assert buckets_from_wire(buckets_to_wire(mounted)) == mounted


def test_regions_without_the_service_are_refused() -> None:
    (region,) = WITHOUT_S3_FILES
    found = [each for each in limitations(region, "main", {"buckets": "x"}) if each.is_refused]
    assert [each.name for each in found] == ["buckets"]
    assert not list(limitations("us-east-1", "main", {"buckets": "x"}))
