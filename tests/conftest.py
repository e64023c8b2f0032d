"""What every test gets: no network, one thread of the framework it uses, and a seed of its own."""

from __future__ import annotations

import os
import sys
import zlib

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models are built from configurations, never downloaded


@pytest.fixture(autouse=True)
def _one_thread():
    """Keep a framework that is loaded to one thread: the tests already run in several processes."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


@pytest.fixture
def seed(request):
    """Return a seed made from the test's name: the same in every run, another in every test."""
    return zlib.crc32(request.node.nodeid.encode())


@pytest.fixture
def rng(seed):
    """Return a NumPy generator with the test's seed."""
    return np.random.default_rng(seed)
