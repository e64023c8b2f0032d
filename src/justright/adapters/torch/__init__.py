"""PyTorch."""

from __future__ import annotations

from justright.adapters.torch.adapter import ADAPTER, TorchAdapter

__all__ = ["ADAPTER", "TorchAdapter"]
