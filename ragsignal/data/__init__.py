"""Prices, the 34 sequences, and the one place that cuts windows."""
