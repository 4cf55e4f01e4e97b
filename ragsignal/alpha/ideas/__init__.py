"""Formulas proposed for an idea in words: drawn from a language model under a grammar, or made of templates."""
