"""Retrieval of days: StockLLM's adapter that reads them, and FinSeer's metric, which learns from its opinion."""
