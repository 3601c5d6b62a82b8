"""Buckets that workers mount by S3 Files, and the roles with which they do."""

from collections.abc import Sequence
from typing import Any

from chalicelib.data.aws import s3_volume
from conducto.wire.buckets import Bucket
from conducto_core.asl.rules.naming import Site
from conducto_core.buckets.rules import OrgBuckets, RegisteredBucket, role_digest, urls_of
from conducto_core.errors import RefusedError
from conducto_core.installation.names import bucket_role_name


class BucketMounts:
    """The registered buckets of an installation.

    Args:
        site: Account and region of the installation, and its stage.
        known: The buckets.
        files: ``FS/POINT,FS/POINT``: the file system and the access point of each address.
    """

    def __init__(self, site: Site, known: Sequence[RegisteredBucket] = (), files: str = "") -> None:
        self._site = site
        self._known = known
        pairs = (each.split("/") for each in files.split(",") if each)
        self._files = dict(zip(urls_of(known), pairs, strict=True))

    def volume(self, org: str, name: str, bucket: Bucket, *, trusted: bool) -> dict[str, Any]:
        """Return the volume of a bucket.

        Raises:
            RefusedError: It is not registered any more, or never was.
        """
        problem = OrgBuckets(org, self._known, trusted=trusted).problem(bucket)
        if problem is not None:
            raise RefusedError(problem)
        system, point = self._files[bucket.url]
        return s3_volume(self._site, name, system, point)

    def role(self, org: str, *, for_shells: bool) -> str:
        """Return the ARN of the role of an organisation's workers, or shells, with buckets."""
        site = self._site
        name = bucket_role_name(site.stage, site.region, role_digest(org), for_shells=for_shells)
        return f"arn:{site.partition}:iam::{site.account}:role/{name}"

    def all_roles(self) -> tuple[str, ...]:
        """Return the ARNs of all these roles."""
        orgs = dict.fromkeys(each.org for each in self._known)
        return tuple(self.role(org, for_shells=kind) for org in orgs for kind in (False, True))
