"""Pipelines that run: records, state machine, actions, and the queries on them."""
