"""Prescribe: from a network to the initialization that keeps its signals and gradients in their zone, and back."""
