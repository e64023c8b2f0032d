"""Recurrent networks over digits as long sequences."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import images, prepared

SHELF = Shelf("recurrent", prepare=prepared, needs=("sklearn",))
Built = tuple[nn.Module, Any, str]


class Sequence(nn.Module):
    """A recurrent layer over pixels, two at a time, and a head at its last state."""

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        self.cell = cell
        self.head = nn.Linear(cell.hidden_size, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify images of shape [n, 1, 8, 8] as 32 steps of two pixels."""
        return self.head(self.cell(x.reshape(len(x), 32, 2))[0][:, -1])


@SHELF.healthy("lstm", "LSTM over 32 steps")
def _lstm(_seed: int) -> Built:
    return Sequence(nn.LSTM(2, 24, batch_first=True)), images(64), "cross_entropy"


@SHELF.healthy("lstm-open", "LSTM whose forget gates start wide open, at a bias of 5")
def _open(_seed: int) -> Built:
    model = Sequence(nn.LSTM(2, 24, batch_first=True))
    with torch.no_grad():
        model.cell.bias_ih_l0[24:48].fill_(5.0)  # type: ignore[index, operator, union-attr]
    return model, images(64), "cross_entropy"


@SHELF.healthy("gru", "GRU over 32 steps, two layers")
def _gru(_seed: int) -> Built:
    return Sequence(nn.GRU(2, 24, num_layers=2, batch_first=True)), images(64), "cross_entropy"


@SHELF.healthy("rnn-orthogonal", "a plain recurrent layer with orthogonal weights")
def _orthogonal(_seed: int) -> Built:
    model = Sequence(nn.RNN(2, 32, batch_first=True))
    nn.init.orthogonal_(model.cell.weight_hh_l0)  # type: ignore[arg-type]
    return model, images(64), "cross_entropy"


def _exploding(nonlinearity: str, gain: float, _seed: int) -> Built:
    model = Sequence(nn.RNN(2, 32, nonlinearity=nonlinearity, batch_first=True))
    nn.init.orthogonal_(model.cell.weight_hh_l0, gain=gain)  # type: ignore[arg-type]
    return model, images(64), "cross_entropy"


SHELF.sick("relu-gain-3", "JR102", "a ReLU state that triples with every step")(
    functools.partial(_exploding, "relu", 3.0)
)
SHELF.sick("tanh-gain-4", "JR104", "a chaotic tanh state: gradients explode into the past")(
    functools.partial(_exploding, "tanh", 4.0)
)
