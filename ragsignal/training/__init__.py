"""What is learned, on which days, and the card that travels with it."""
