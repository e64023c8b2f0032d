"""The plane of an activation on a Dask or a Ray cluster, and the same plane on this machine alone.

    python examples/phase_on_a_cluster.py                                 # Dask, two workers started on this machine
    python examples/phase_on_a_cluster.py dask scheduler-address:8786     # a Dask cluster that runs
    python examples/phase_on_a_cluster.py ray                             # Ray, started on this machine
    python examples/phase_on_a_cluster.py ray auto                        # the Ray cluster of this machine

`justright.meanfield.plane.sweep` gives its rows to joblib, and joblib to the backend that it is told of. Needs
`pip install justright[dask]` or `pip install justright[ray]`, on the workers too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import joblib
import numpy as np

from justright.core.phase import Plane
from justright.meanfield.plane import sweep

ACTIVATION = "mish"
COLUMNS, ROWS = 48, 32
WORKERS = 2


def main(kind: str = "dask", address: str = "") -> None:
    """Compute one plane twice, on a cluster and here, and compare."""
    with {"dask": on_dask, "ray": on_ray}[kind](address) as workers:
        print(f"{kind}: {workers} workers")
        far = plane(progress=True)
    here = plane(jobs=1)
    np.testing.assert_array_equal(far.depth, here.depth)
    points = far.depth.size
    print(f"{ACTIVATION}: {points:,} points, {np.mean(far.chi_1 > 1):.0%} of them chaotic; the same as on one core")


def plane(*, jobs: int = -1, progress: bool = False) -> Plane:
    """Compute the plane, wherever joblib is told to work."""
    sigma_w, sigma_b = np.linspace(0.1, 3.0, COLUMNS), np.linspace(0.0, 1.5, ROWS)
    return sweep(ACTIVATION, sigma_w, sigma_b, jobs=jobs, progress=_told if progress else None)


@contextmanager
def on_dask(address: str) -> Iterator[int]:
    """Work on a Dask cluster: that of an address, or one that is started here and ends here."""
    from dask.distributed import Client, LocalCluster

    own = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None}
    started = nullcontext(address) if address else LocalCluster(**own)
    with started as cluster, Client(cluster) as client, joblib.parallel_config(backend="dask"):
        yield len(client.scheduler_info()["workers"])


@contextmanager
def on_ray(address: str) -> Iterator[int]:
    """Work on a Ray cluster: that of an address, or one that is started here and ends here."""
    import ray
    from ray.util.joblib import register_ray

    ray.init(**({"address": address} if address else {"num_cpus": WORKERS, "include_dashboard": False}))
    register_ray()
    try:
        with joblib.parallel_config(backend="ray"):
            yield int(ray.cluster_resources()["CPU"])
    finally:
        ray.shutdown()


def _told(stage: str, done: int, of: int) -> None:
    print(f"\r{stage}: {done} of {of} rows", end="\n" if done == of else "", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
