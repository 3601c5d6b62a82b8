"""Webhooks, providers, and the file ``.conducto.cfg``. Pure."""
