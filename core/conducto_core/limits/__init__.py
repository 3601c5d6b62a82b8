"""Named limits across pipelines."""
