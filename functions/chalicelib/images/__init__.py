"""Images and their builds."""
