"""The page of a search of formulas, and of the session that it came of."""
