"""Laws of the scores, and, as a slow test, the scores themselves: the run writes `docs/detection.md`."""

from __future__ import annotations

import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor

import pytest
from tests.laws.held_out.page import put

from justright.checking import check
from justright.diagnostics.base import DIAGNOSTICS
from justright.testing import zoo
from justright.testing.scores import Score, Trial, architecture, scores, trial

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

SEEDS = (0, 1, 2)

RECALL = 0.95
"""Least share of sick networks whose fault must be the first alarm."""

INTRODUCTION = f"""\
How often the diagnostics are right on the networks of [the zoo](zoo.md), whose verdicts are proven by training. Written
by `pytest -m slow tests/laws/test_scores.py`, with every network built from {len(SEEDS)} seeds; the last two sections,
on networks of other hands, by `pytest -m slow tests/laws/held_out`. A detection is a sick network whose own fault is
the first error or warning; everything else first, or nothing at all, is a miss. A false alarm is an error or a warning
on a network that trains. Milliseconds are the median time of one diagnostic on a network of the zoo, without the run
that measures the network.

The zoo is split by what a network does, read from its graph: the second half is the one to judge by. Constants come
from derivations and from training sweeps over networks of the first half, but whoever wrote a rule had seen its own
networks of both halves, and JR101 to JR401 were written with all in sight; what networks of other hands give stands
further below."""

HEAD = "| diagnostic | sick | detected | missed | false alarms | first on another fault | ms |"


def line_of(score):
    name = f"{score.code} {DIAGNOSTICS[score.code].name}" if score.code else "**all**"
    counts = [score.detected + len(score.missed), score.detected, len(score.missed), len(score.false), len(score.wrong)]
    return f"| {name} | {' | '.join(map(str, counts))} | {1e3 * score.seconds:.2g} |"


def table(trials):
    found = scores(trials)
    total = found[""]
    healthy = sum(each.fault is None for each in trials)
    says = f"Recall {total.recall:.3f}; {len(total.false)} false alarms on {healthy} checks of healthy networks."
    names = sorted({*total.missed, *total.false})
    told = [f"Missed or falsely alarmed: {', '.join(names)}.", ""] if names else []
    return [
        says,
        "",
        HEAD,
        "|---|---|---|---|---|---|---|",
        *map(line_of, found.values()),
        "",
        *told,
    ]


def tried(task):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    name, seed = task
    return trial(zoo.NETWORKS[name], seed)


@pytest.mark.slow
def test_the_zoo_is_told_apart():
    tasks = [(each.name, seed) for each in zoo.NETWORKS.values() if each.available for seed in SEEDS]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        trials = list(pool.map(tried, tasks, chunksize=4))
    halves = [[each for each in trials if each.calibration is first] for first in (True, False)]
    titles = ("Calibration half: dense and recurrent", "Reported half: convolution and attention")
    put({"": [INTRODUCTION], **dict(zip(titles, map(table, halves), strict=True))})
    for half in halves:
        total = scores(half)[""]
        assert total.false == ()
        assert total.recall >= RECALL, total.missed


def test_scores_count_what_happened():
    trials = [
        Trial("a", "dense", "JR103", "error", ("JR103", "JR101"), (), {"JR103": 0.1, "JR101": 0.2}),
        Trial("b", "dense", "JR103", "error", ("JR101", "JR103"), (), {"JR103": 0.3, "JR101": 0.4}),
        Trial("c", "attention", "JR103", "healthy", (), (), {"JR103": 0.2, "JR101": 0.9}),
        Trial("d", "dense", None, "warning", ("JR101",)),
        Trial("e", "dense", None, "healthy", ()),
    ]
    found = scores(trials)
    assert found["JR103"] == Score("JR103", 1, ("b", "c"), (), (), 0.2)
    assert found["JR101"] == Score("JR101", 0, (), ("d",), ("b",), 0.4)
    assert found["JR103"].recall == pytest.approx(1 / 3)
    total = found[""]
    assert (total.detected, total.missed, total.false, total.wrong) == (1, ("b", "c"), ("d",), ("b",))
    assert [each.calibration for each in trials] == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mlp/relu-he", "dense"),
        ("convolution/resnet", "convolution"),
        ("attention/mixer", "dense"),
        ("language/gpt2", "attention"),
        ("language/vit", "attention"),
    ],
)
def test_architecture_is_read_from_the_graph(name, kind):
    model, batch, loss = zoo.NETWORKS[name].build(0)
    assert architecture(check(model, batch, loss=loss).graph) == kind


@pytest.mark.parametrize("cell", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_recurrent_layers_are_recurrent(cell):
    class Last(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = cell(4, 8, batch_first=True), torch.nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    assert architecture(check(Last(), torch.randn(16, 12, 4)).graph) == "recurrent"
