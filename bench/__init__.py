"""Measurements of Conducto against what the machine itself can do, in one run.

``python -m bench local`` prints a table and writes ``bench/results/latest.json``; so do ``web`` and
``cloud``. What is measured is data (`bench.registry`); each side brings its own list
(`bench.local.suite`).
"""
