"""Predict signals and gradients from the operator graph, without running the network."""

from __future__ import annotations
