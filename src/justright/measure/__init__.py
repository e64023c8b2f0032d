"""Measure: a model and its batches to a profile, by running it."""
