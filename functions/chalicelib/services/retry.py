"""Trying again what AWS asks to come back for, or what others were in the way of."""
