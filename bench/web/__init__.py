"""Measurements of the web app in Chromium, against an agent of their own."""
