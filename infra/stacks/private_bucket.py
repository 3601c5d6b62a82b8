"""Buckets of S3 as every stack creates them."""

from typing import Any

from aws_cdk import aws_s3 as s3
from constructs import Construct


def private_bucket(scope: Construct, name: str, **more: Any) -> s3.Bucket:
    """Create a bucket that is encrypted, reached by TLS only, and never public.

    Args:
        scope: Its parent.
        name: Its id in the parent.
        more: More properties of `aws_cdk.aws_s3.Bucket`.
    """
    return s3.Bucket(
        scope,
        name,
        encryption=s3.BucketEncryption.S3_MANAGED,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        **more,
    )
