"""The local runner's part of telling people and services outside (`conducto_core.notifications`).

`outbox` sees to it that each notification is sent once, `settings` where to.
"""
