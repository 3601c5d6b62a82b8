"""``conducto activity``."""
