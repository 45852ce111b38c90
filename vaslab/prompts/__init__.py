"""Chat -> token ids with a role for every token; image patch <-> token <-> pixel box."""
