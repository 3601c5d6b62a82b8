"""Text for terminals: tables, colors, labels of actions."""
