"""Engines: what starts containers (`docker`) or, without any, plain processes (`process`)."""
