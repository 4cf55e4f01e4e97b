"""What the models may know by heart, and when their training ended."""
