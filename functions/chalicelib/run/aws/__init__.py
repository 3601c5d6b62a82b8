"""The journal in DynamoDB, and Step Functions."""
