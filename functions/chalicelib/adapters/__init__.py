"""The ports over AWS. Only these modules use boto3, and they import it on first use."""
