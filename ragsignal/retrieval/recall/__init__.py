"""Two-stage generative retrieval: a language model names the title of what it wants, then how its window begins."""
