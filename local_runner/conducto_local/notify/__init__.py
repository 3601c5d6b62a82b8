"""Notifications of the local runner (`conducto_core.notifications`).

`outbox` sends each notification once, `settings` has the addresses.
"""
