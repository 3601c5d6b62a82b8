"""The cloud target: the API's `Pipelines` over DynamoDB, S3, Step Functions and ECS."""
