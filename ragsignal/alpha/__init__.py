"""Formulas looked for: ideas put into the language of :mod:`ragsignal.data.formulas`."""
