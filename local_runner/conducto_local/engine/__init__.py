"""Engines, which start containers (`docker`) or plain processes (`process`)."""
