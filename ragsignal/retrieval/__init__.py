"""Corpus, encoders, as-of index, retrievers."""
