"""Benchmarks of Conducto, with baselines measured in the same run.

``python -m bench local`` prints a table and writes ``bench/results/latest.json``; so do ``web`` and
``cloud``. Measurements are data (`bench.registry`); each suite has its own list
(`bench.local.suite`).
"""
