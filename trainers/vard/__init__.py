"""VARD: visual-anchored reflection data, in three calls of a vision-language model."""
