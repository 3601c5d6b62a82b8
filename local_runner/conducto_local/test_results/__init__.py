"""Tests of the pipelines on this machine."""
