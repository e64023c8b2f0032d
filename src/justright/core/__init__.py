"""The nouns: graph, profile, findings, and what they are made of. NumPy and SciPy only."""
