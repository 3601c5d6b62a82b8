"""How a tree as defined becomes the tree that runs."""
