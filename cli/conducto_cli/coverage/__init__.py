"""``conducto coverage``."""
