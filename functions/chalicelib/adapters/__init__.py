"""The ports over AWS. Only here is boto3 used, and nowhere is it imported before it is needed."""
