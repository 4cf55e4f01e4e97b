"""News: a table of items, when each was available, and what they said of a stock by the bar that may know of them."""
