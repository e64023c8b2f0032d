"""Image models of timm by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from justright.adapters.base import Target
from justright.adapters.torch.libraries.building import build
from justright.adapters.torch.libraries.options import literal, near
from justright.adapters.torch.libraries.standins import import_timm
from justright.core.inputs import InputSpec, TensorSpec
from justright.errors import ModelError

__all__ = ["load"]

BATCH = 2
"""Images in a batch: the fewest that show whether a network tells one input from another."""


def load(name: str, options: Mapping[str, str], *, values: bool = True) -> Target:
    """Build a model of timm, untrained, with random images and classes.

    Parameters
    ----------
    name
        Name of a model, with or without the tag of its weights, as ``timm.list_models`` lists them.
    options
        Keyword arguments of ``timm.create_model``.
    values
        Whether its parameters have values, and not a shape alone.

    Raises
    ------
    ModelError
        If there is no such model, it refuses an option, or weights were asked for.
    """
    timm = import_timm()
    where = f"timm:{name}"
    if not timm.is_model(name):
        raise ModelError(
            f"{name!r}", where=where, expected="a name that timm.list_models lists",
            try_=", ".join(f"timm:{each}" for each in near(name, timm.list_models()) or ("resnet18",)),
        )  # fmt: skip
    arguments = {key: literal(value) for key, value in options.items()}
    _refuse_weights(arguments, where)
    model = build(lambda: timm.create_model(name, pretrained=False, **arguments), where, values=values)
    shape, notes = _image_shape(model, arguments)
    classes = getattr(model, "num_classes", 0)
    spec = TensorSpec((BATCH, *shape))
    if not classes or arguments.get("features_only"):
        return Target(model, InputSpec((spec,)), notes=notes)
    classified = InputSpec((spec,), target=TensorSpec((BATCH,), "int64", 0, classes))
    return Target(model, classified, "cross_entropy", notes=notes)


def _refuse_weights(arguments: Mapping[str, Any], where: str) -> None:
    for key in ("pretrained", "checkpoint_path"):
        if arguments.get(key):
            raise ModelError(
                f"option {key!r}", where=where, expected="a model before training: weights are never downloaded",
                try_=where,
            )  # fmt: skip


def _image_shape(model: torch.nn.Module, arguments: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Channels, height and width: what was asked for, or else what the weights of this name were trained with."""
    settings = getattr(model, "pretrained_cfg", None) or {}
    channels, *size = settings.get("input_size") or (3, 224, 224)
    notes = () if settings.get("input_size") else ("timm states no input size for this model: 224 × 224 was taken",)
    asked = arguments.get("img_size")
    if asked is not None:
        size = [asked, asked] if isinstance(asked, int) else list(asked)
    return (arguments.get("in_chans", channels), *size), notes
