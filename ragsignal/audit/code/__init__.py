"""Whether a strategy, an indicator or a feature looks ahead: every bar a cut point."""
