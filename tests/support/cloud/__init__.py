"""The cloud target on fakes: an API, Step Functions, ECS, and workers that a test controls."""
