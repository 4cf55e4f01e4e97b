"""Models on rank letters: boosting, and StockLLM, which is distilled from it."""
