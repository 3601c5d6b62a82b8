"""What runs and what waits, over all pipelines."""
