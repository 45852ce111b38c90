"""Records to train on: one format, readers of others, and an exact generator for the organism's world."""
