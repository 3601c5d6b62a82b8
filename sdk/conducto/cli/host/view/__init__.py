"""What a terminal shows of a pipeline: a pure model of the screen, and who writes it."""
