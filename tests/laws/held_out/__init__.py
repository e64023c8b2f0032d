"""Programs and models that nobody tuned the diagnostics to."""
