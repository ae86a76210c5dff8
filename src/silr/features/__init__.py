"""Features: texts to a matrix, alike for new texts."""
