"""Benchmarks of the web app in Chromium, with a separate agent."""
