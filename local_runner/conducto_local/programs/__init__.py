"""Programs of pipelines as processes of the user."""
