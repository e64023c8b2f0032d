"""Conditions under which a run makes the calls that a trace made: composites in their open form, nothing compiled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

__all__ = ["open_form"]


@contextmanager
def open_form() -> Iterator[None]:
    """Run attention and recurrent layers as the operations they are made of, uncompiled, with gradients on.

    Every setting is put back at the end.
    """
    fastpath = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:  # where nothing was compiled, importing it would cost seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(_open_recurrence())
        # Casts that an autocast around the check keeps would be calls of the first run alone.
        stack.callback(torch.clear_autocast_cache)
        stack.callback(torch.backends.mha.set_fastpath_enabled, fastpath)
        torch.backends.mha.set_fastpath_enabled(False)
        yield


@contextmanager
def _open_recurrence() -> Iterator[None]:
    """Switch the fused recurrent kernels off while a recurrent module runs; elsewhere they speed convolutions up."""
    opened: list[ExitStack] = []

    def enter(module: torch.nn.Module, _args: object) -> None:
        if isinstance(module, torch.nn.RNNBase):
            flags = ExitStack()
            enabled = torch._C._get_mkldnn_enabled()
            flags.callback(torch._C._set_mkldnn_enabled, enabled)
            flags.enter_context(torch.backends.cudnn.flags(enabled=False))
            torch._C._set_mkldnn_enabled(False)
            opened.append(flags)

    def leave(module: torch.nn.Module, _args: object, _result: object) -> None:
        if isinstance(module, torch.nn.RNNBase) and opened:
            opened.pop().close()

    handles = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave, always_call=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        while opened:
            opened.pop().close()
