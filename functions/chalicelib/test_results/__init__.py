"""Tests of the pipelines in the cloud."""
