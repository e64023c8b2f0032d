"""The examples that need no more than a moment: they run as a user runs them, and say what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_plane_on_a_cluster_is_the_one_computed_here(kind, package):
    """The example itself compares the two planes bit for bit; its workers are processes of their own."""
    pytest.importorskip(package)
    command = [sys.executable, str(EXAMPLES / "phase_on_a_cluster.py"), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 workers" in done.stdout
    assert "the same as on one core" in done.stdout
