"""For users of PyTorch: `justright.torch.init` stands in for `torch.nn.init`."""

from __future__ import annotations

from justright.torch import init

__all__ = ["init"]
