"""What depends on what: writes in place and through views, and every use of a parameter.

The oracle for dependence is arithmetic: a tensor is drawn anew, and whatever comes out otherwise depended on it.
"""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from justright.adapters.torch import ADAPTER

SOURCES = 3


def put(target, index, value):
    target[index] = value


WHOLE = {
    "add": lambda r, i, j: r.append(r[i] + r[j]),
    "sine": lambda r, i, _j: r.append(r[i].sin()),
    "add in place": lambda r, i, j: r[i].add_(r[j]),
    "sine in place": lambda r, i, _j: r[i].sin_(),
    "several in place": lambda r, i, j: torch._foreach_add_([r[i]], [r[j].clone()]),
    "out": lambda r, i, j: torch.add(r[i].detach(), r[j].detach(), out=r[i].data),
    "write to a view of all": lambda r, i, j: r[i].view(3, 2).t().add_(r[j].clone()),
    "detach": lambda r, i, _j: r.append(r[i].detach().clone()),
    "data": lambda r, i, j: r[i].data.mul_(r[j].clone()),
    "stack": lambda r, i, j: r.append(torch.stack([r[i], r[j]]).sum(0)),
    "matmul": lambda r, i, j: r.append(r[i] @ r[j].t() @ r[i]),
    "softmax": lambda r, i, j: r.append(r[i].softmax(-1) * r[j]),
}
"""Operations after which all of what they write depends on all that they read, and on what was there before."""

PART = {
    "row": lambda r, i, j: put(r[i], 0, r[j][1].clone()),
    "column": lambda r, i, j: put(r[i], (slice(None), 1), r[j][:, 0].clone()),
    "add to a slice": lambda r, i, j: r[i][:, :2].add_(r[j][:, 1:].clone()),
    "keep a view": lambda r, i, j: r.append(r[i][:, [0, 1, 2]] if i == j else r[i].view(2, 3)),
    "keep a slice": lambda r, i, j: r.append(r[i][:1].expand(2, 3)) if i != j else r.append(r[i].t().t()),
    "copy": lambda r, i, j: r[i].copy_(r[j].clone()),
    "zero": lambda r, i, _j: r[i].zero_(),
    "indices": lambda r, i, j: r[i].index_put_((torch.tensor([0, 1]), torch.tensor([2, 0])), r[j][0, :2].clone()),
    "scatter": lambda r, i, j: r[i].scatter_(1, torch.tensor([[0], [2]]), r[j][:, :1].clone()),
    "mask": lambda r, i, _j: r[i].masked_fill_(torch.tensor([True, False, False]), 0.5),
    "relu": lambda r, i, _j: r[i].relu_(),
    "views of one memory": lambda r, i, _j: r.extend(r[i].clone().unsqueeze(0).expand(2, 2, 3).contiguous().unbind(0)),
}
"""Operations that write or hand on a part of a tensor."""

STEPS = {**WHOLE, **PART}


class Program(nn.Module):
    """Works on a growing list of tensors, and returns them all."""

    def __init__(self, steps) -> None:
        super().__init__()
        self.steps, self.weight = steps, nn.Parameter(torch.randn(2, 3, dtype=torch.float64))

    def forward(self, *inputs):
        registers = [*(each * 1.0 for each in inputs), self.weight * 1.0]
        for name, i, j in self.steps:
            STEPS[name](registers, i % len(registers), j % len(registers))
        return registers


def drawn(generator) -> torch.Tensor:
    return torch.randn(2, 3, dtype=torch.float64, generator=generator)


def dependence(model, inputs) -> list[set[int]]:
    """For every output, the sources on which it depends: the inputs, and last the weight."""
    generator = torch.Generator().manual_seed(1)
    plain = [each.detach().clone() for each in model(*inputs)]
    found = [set() for _ in plain]
    for source in range(len(inputs) + 1):
        for _ in range(2):  # a rectifier may hide one draw, hardly two
            other = [drawn(generator) if each == source else tensor for each, tensor in enumerate(inputs)]
            weight = {"weight": drawn(generator)} if source == len(inputs) else {}
            for output, tensor in enumerate(torch.func.functional_call(model, weight, tuple(other))):
                if not torch.equal(tensor, plain[output]):
                    found[output].add(source)
    return found


def reachable(graph, names) -> list[set[int]]:
    """For every output of a graph, the sources from which a path leads to it."""
    from_where = [set() for _ in graph.sites]
    for source, name in enumerate(names):
        from_where[graph.by_name[name].index].add(source)
    for node in graph.nodes:
        for output in node.outputs:
            from_where[output].update(*(from_where[operand.site] for operand in node.operands))
    return [from_where[output] for output in graph.outputs]


def programs(names):
    step = st.tuples(st.sampled_from(sorted(names)), st.integers(0, 5), st.integers(0, 5))
    return st.lists(step, min_size=1, max_size=6)


NAMES = [*(f"input[{index}]" for index in range(SOURCES)), "weight"]


def compared(steps):
    model = Program(steps)
    inputs = tuple(drawn(torch.Generator().manual_seed(index)) for index in range(SOURCES))
    try:
        model(*inputs)
    except RuntimeError:
        assume(False)  # autograd does not allow every write to a view
    job = ADAPTER.prepare(model, inputs)
    paths = [reachable(make(job), NAMES) for make in (ADAPTER.trace, ADAPTER.record)]
    assert paths[0] == paths[1]
    with torch.no_grad():
        return dependence(model, inputs), paths[0]


@settings(max_examples=120, deadline=None)
@given(programs(STEPS))
def test_no_dependence_is_missed(steps):
    numbers, paths = compared(steps)
    for found, path in zip(numbers, paths, strict=True):
        assert found <= path


@settings(max_examples=80, deadline=None)
@given(programs(WHOLE))
def test_where_all_is_written_no_dependence_is_made_up(steps):
    numbers, paths = compared(steps)
    assert numbers == paths


@pytest.mark.parametrize("name", STEPS)
def test_every_operation_has_its_dependence(name):
    numbers, paths = compared([(name, 0, 1), ("add", 0, 2)])
    assert all(found <= path for found, path in zip(numbers, paths, strict=True))
    assert numbers[-1] >= {2}


def test_memory_that_is_used_again_is_no_dependence():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 4)

        def forward(self, x):
            for _ in range(20):
                torch.zeros_like(x).add_(x)  # is freed at once
                x = self.lin(x) + torch.tensor([1.0, 2.0, 3.0, 4.0])  # takes its place in memory
            return x

    job = ADAPTER.prepare(Net(), torch.randn(2, 4))
    for graph in (ADAPTER.trace(job), ADAPTER.record(job)):
        assert "written_through_view" not in {node.op for node in graph.nodes}


# Parameters


class Counts(TorchFunctionMode):
    """Counts the functions that are called with each of some tensors; attributes and views of it are not counted."""

    def __init__(self, parameters) -> None:
        super().__init__()
        self.names = {id(parameter): name for name, parameter in parameters}
        self.seen = Counter()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") not in {"__get__", "size", "dim", "is_floating_point", "stride"}:
            given = {id(each) for each in pytree.tree_leaves((args, kwargs or {}))}
            self.seen.update(self.names[each] for each in given & self.names.keys())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "case", ["mlp", "cnn", "residual", "twice", "gpt2", "llama", "bert", "t5", "vit"], indirect=True
)
def test_uses_of_parameters_are_the_functions_called_with_them(case):
    _, model, batch = case
    graph = ADAPTER.trace(ADAPTER.prepare(model, batch))
    counts = Counts(model.named_parameters())
    with counts:
        output = model(**batch) if isinstance(batch, dict) else model(batch)
    assert {each.name: len(each.uses) for each in graph.parameters} == {
        name: counts.seen[name] for name, _ in model.named_parameters()
    }
    loss = output.sum() if isinstance(output, torch.Tensor) else output.loss
    loss.backward()
    used = {each.name for each in graph.parameters if each.uses}
    assert used == {name for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_tied_parameters_are_one_with_all_its_names():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
            self.head.weight = self.table.weight
            self.scale = nn.Parameter(torch.ones(4), requires_grad=False)

        def forward(self, ids):
            return self.head(self.table(ids) * self.scale) + self.table.weight.t()[0]

    graph = ADAPTER.trace(ADAPTER.prepare(Net(), torch.tensor([[1, 2]])))
    table, scale = sorted(graph.parameters, key=lambda each: each.name, reverse=True)
    assert (table.name, table.aliases, table.trainable) == ("table.weight", ("head.weight",), True)
    assert (scale.name, scale.trainable) == ("scale", False)
    uses = [(graph.nodes[use.node].op, use.views) for use in table.uses]
    assert uses == [("embedding", ()), ("matmul", ("transpose",)), ("select", ("transpose",))]
