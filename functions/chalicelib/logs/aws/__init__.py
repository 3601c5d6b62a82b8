"""Output in the table and in S3."""
