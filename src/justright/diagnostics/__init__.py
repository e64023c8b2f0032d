"""Diagnostics: one file each, from a graph and its profile to findings."""
