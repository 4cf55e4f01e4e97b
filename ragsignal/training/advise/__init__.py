"""A ladder of sizes and amounts of data: which size of StockLLM on ranks fits a corpus, and what twice as much asks."""
