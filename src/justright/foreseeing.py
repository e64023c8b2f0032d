"""What a check foresees: the prediction that is held against the measurement, which it must never stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from justright.adapters.base import Adapter, Job
from justright.core.coverage import Gap
from justright.core.graph import Graph
from justright.core.prediction import Predicted
from justright.core.profile import Profile
from justright.propagation.engine import predicted

__all__ = ["Foreseen", "foresee", "joined"]


@dataclass(frozen=True)
class Foreseen:
    """What was predicted of the signals, by site name, and what could not be."""

    sites: Mapping[str, Predicted] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


def foresee(adapter: Adapter, job: Job, graph: Graph) -> Foreseen:
    """Predict the signals of a graph; whatever goes wrong is a gap of the report.

    Parameters
    ----------
    adapter
        The framework of the job's model.
    job
        The model with its batch; parameters are taken as their initializers draw them where these were recorded.
    graph
        Its graph.
    """
    try:
        found = predicted(graph, adapter.arrays(job), statistics=False)
    except Exception as error:  # a prediction that fails must not cost the check
        said = str(error).partition("\n")[0]
        return Foreseen({}, (Gap("prediction", f"it could not be made ({type(error).__name__}: {said})"),))
    sites = {record.name: record.predicted for record in found.profile.sites if record.predicted is not None}
    return Foreseen(sites, _unforeseen(found.gaps))


def _unforeseen(gaps: tuple[Gap, ...]) -> tuple[Gap, ...]:
    """Make one gap of the operators that were not predicted."""
    missing = [gap for gap in gaps if gap.what.startswith("signal of") and gap.what != "signal of masks"]
    if not missing:
        return ()
    first = missing[0]
    reason = f"no rule predicts {first.what.removeprefix('signal of ')} ({first.reason})"
    others = f", and {len(missing) - 1} more operators" if len(missing) > 1 else ""
    return (Gap("comparison with the prediction", reason + others, sum(gap.count for gap in missing), first.where),)


def joined(profile: Profile, foreseen: Foreseen) -> Profile:
    """Return a measured profile in which every record holds what was predicted of its site."""
    sites = (replace(record, predicted=foreseen.sites.get(record.name)) for record in profile.sites)
    return replace(profile, sites=tuple(sites))
