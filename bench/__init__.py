"""Speed and memory of vaslab, measured against what transformers does by itself."""
