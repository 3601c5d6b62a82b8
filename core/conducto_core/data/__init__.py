"""Data files of pipelines and users."""
