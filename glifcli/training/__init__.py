"""Training: a recipe and a run folder in, events out."""
