"""The command line `vaslab`: thin; stdout carries one path or one JSON line, everything else goes to stderr."""
