"""Frameworks: `base` says what an engine asks of one, and each package serves one."""
