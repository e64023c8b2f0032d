"""Published numbers, and numbers of public programs, with their tolerances: `oracles.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

ORACLES = {each["id"]: each for each in json.loads((Path(__file__).parent / "oracles.json").read_text("utf-8"))}


HELD = set()


@pytest.fixture
def holds():
    """Return a function that holds a number, or a list of them, against its oracle."""

    def held(identifier, got):
        oracle = ORACLES[identifier]
        HELD.add(identifier)
        keys = list(oracle["value"]) if isinstance(oracle["value"], dict) else None
        want = [oracle["value"][key] for key in keys] if keys else oracle["value"]
        got = [got[key] for key in keys] if keys else got
        bounds = (
            {"rtol": oracle["tol"], "atol": 0.0}
            if oracle["tol_kind"] == "rel"
            else {"rtol": 0.0, "atol": oracle["tol"]}
        )
        np.testing.assert_allclose(got, want, err_msg=identifier, **bounds)

    return held


def pytest_sessionfinish():
    """Write down what was held, for the ledger's own run."""
    if ledger := os.environ.get("JUSTRIGHT_LEDGER"):
        Path(ledger).write_text("\n".join(sorted(HELD)), "utf-8")
