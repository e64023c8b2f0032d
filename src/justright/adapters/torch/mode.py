"""The base of our dispatch modes."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["EagerMode"]


class EagerMode(TorchDispatchMode):
    """A dispatch mode that is never met by compiled code, and so does without the compiler's wrapper.

    The wrapper imports the compiler (seconds) and adds to the cost of every call; our modes run where nothing is
    compiled.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
