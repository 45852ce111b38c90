"""Training for vaslab: the organism from nothing, and fine-tuning whose checkpoints feed back into the
analyses."""
