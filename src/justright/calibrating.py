"""Initialization by data: weights that are changed by what batches do in the network, or by what weights it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from justright.adapters.base import adapter_of
from justright.errors import InputError
from justright.initializers.base import Initializer
from justright.initializers.driven import DataDriven
from justright.initializers.parsing import scheme as parsed
from justright.initializing import initialize

__all__ = ["Calibrated", "calibrate"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Calibrated:
    """What a data-driven scheme changed.

    Parameters
    ----------
    scheme
        As it is written.
    rows
        Name of a parameter, and what the scheme works on before and after: the standard deviation of the layer's
        output (lsuv, krahenbuhl), the norm of the weight (metainit, pissa), a factor (gradinit, admin).
    """

    scheme: str
    rows: tuple[tuple[str, float, float], ...]

    def __str__(self) -> str:
        """Return a line for every parameter."""
        width = max((len(name) for name, _, _ in self.rows), default=0)
        return "\n".join(f"{name:<{width}}  {before:.4g} -> {after:.4g}" for name, before, after in self.rows)


def calibrate(
    model: Any,  # noqa: ANN401
    batches: Sequence[Any],
    scheme: str | Initializer = "lsuv",
    *,
    loss: Any = None,  # noqa: ANN401
    seed: int = 0,
    state: str | Path | None = None,
    progress: Progress | bool = False,
) -> Calibrated:
    """Set the weights of a model by a scheme that needs batches, or the weights that are there, in place.

    Parameters
    ----------
    model
        A `torch.nn.Module`; it runs in evaluation mode, and is in its own mode again afterwards.
    batches
        One or more, in any form that `justright.check` takes; none for pissa. metainit and gradinit go through them
        again and again, the others use the first.
    scheme
        ``"lsuv"``, ``"krahenbuhl"``, ``"metainit(steps=50)"``, ``"gradinit"``, ``"admin"``, ``"pissa"``: their pages
        say what they do.
    loss
        As for `justright.check`; metainit and gradinit need one.
    seed
        Of the weights that lsuv, krahenbuhl and admin begin with; the others begin with those that are there.
    state
        File in which each finished step is kept: the same call after an interruption goes on from there, and ends with
        the same bits as without one.
    progress
        ``True`` for a bar on standard error, which needs rich; or a function that is called with the name, the steps
        done, and their number.

    Returns
    -------
    Calibrated
        What was changed.

    Raises
    ------
    InputError
        If there is no batch, the scheme needs none, or the state is of another call; or if the model has not the
        parameters that the scheme sets.
    ForwardError
        If a layer's output does not vary or is not finite; the model is then as it was.

    Examples
    --------
    >>> import torch, justright as jr
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64))
    >>> result = jr.calibrate(model, [torch.randn(256, 8)], "lsuv(tolerance=0.001)")
    >>> float(result.rows[-1][2]).__round__(2)
    1.0
    """
    chosen = parsed(scheme)
    if not isinstance(chosen, DataDriven):
        raise InputError(f"the scheme {chosen}", where="calibrate", expected="a scheme that needs batches",
                         try_=f"jr.initialize(model, {str(chosen)!r})")  # fmt: skip
    if chosen.reads_batches and not len(batches):
        raise InputError("no batch", where="calibrate", expected="one batch or more", try_="[next(iter(loader))]")
    adapter = adapter_of(model)
    jobs = [adapter.prepare(model, batch, loss) for batch in batches]
    key = f"{chosen}, seed {seed}"
    with _telling(progress) as told:
        rows = adapter.calibrate(
            model, jobs, chosen, state=None if state is None else Path(state), key=key,
            begin=lambda: initialize(model, chosen.start, seed=seed) if chosen.start else None, progress=told,
        )  # fmt: skip
    return Calibrated(str(chosen), tuple(rows))


@contextmanager
def _telling(progress: Progress | bool) -> Iterator[Progress]:
    """Yield what a run tells its progress to."""
    if progress is False:
        yield lambda *_: None
    elif callable(progress):
        yield progress
    else:
        from rich.console import Console
        from rich.progress import Progress as Bar

        with Bar(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("")
            yield lambda name, done, total: bar.update(task, description=name, completed=done, total=total)
