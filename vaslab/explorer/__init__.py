"""The explorer: heads, pictures and answers in one linked view, in a notebook, a browser or a page of its own."""
