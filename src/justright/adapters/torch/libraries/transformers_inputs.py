"""A batch for a model of transformers, from its configuration and the arguments of its forward."""

from __future__ import annotations

import inspect
from typing import Any

import torch

__all__ = ["batch_for"]

BATCH = 2
"""Examples in a batch: the fewest that show whether a network tells one input from another."""

LENGTH = 64
"""Tokens in a sequence, where the model has positions for as many."""

SAMPLES = 16_000
"""Samples of a waveform: one second at the 16 kHz that speech models are trained with."""

CLASSIFIED = ("ForSequenceClassification", "ForImageClassification", "ForAudioClassification", "ForVideoClassification")
LANGUAGE = ("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration")
POSITIONS = ("max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len")

Batch = dict[str, Any]


def batch_for(model: Any) -> tuple[Batch | None, list[str]]:  # noqa: ANN401
    """Make the keyword arguments of one training step.

    Parameters
    ----------
    model
        A ``transformers.PreTrainedModel``.

    Returns
    -------
    batch, notes
        Argument names to tensors, or ``None`` if the main input is of a kind that cannot be made from the
        configuration; and what was assumed, each a sentence.
    """
    return _Inputs(model).made()


class _Inputs:
    """Draws the inputs of one model, from a generator of its own, so that every run sees the same batch."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401
        self.name = type(model).__name__
        self.config = model.config
        self.main = model.main_input_name
        self.padding = _position_padding(model)
        self.takes = set(inspect.signature(model.forward).parameters)
        self.notes: list[str] = []
        self._generator = torch.Generator().manual_seed(0)

    def made(self) -> tuple[Batch | None, list[str]]:
        makers = {
            "input_ids": self._text,
            "pixel_values": self._pixels,
            "input_features": self._spectrogram,
            "input_values": self._waveform,
        }
        value = makers[self.main]() if self.main in makers else None
        if value is None:
            return None, [f"no way is known to make {self.main} for {self.name}"]
        batch: Batch = {self.main: value, **self._second_input()}
        return {**batch, **self._decoder(), **self._labels(value)}, self.notes

    def _get(self, *names: str, default: Any = None) -> Any:  # noqa: ANN401
        """First of these values that the configuration, or the part of it that this input belongs to, has."""
        parts = (self.config, self.config.get_text_config(), getattr(self.config, "vision_config", None))
        found = (getattr(part, name, None) for part in parts for name in names)
        return next((value for value in found if value is not None), default)

    def _integers(self, *shape: int, high: int, low: int = 0) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=self._generator)

    def _normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=self._generator)

    def _length(self, *names: str) -> int:
        positions = self._get(*names)
        return min(LENGTH, positions - self.padding) if isinstance(positions, int) and positions > 0 else LENGTH

    def _text(self) -> torch.Tensor:
        self._pad()
        return self._integers(BATCH, self._length(*POSITIONS), high=self._get("vocab_size"))

    def _pad(self) -> None:
        """Give a classifier of decoder kind the padding token without which it takes no batch of two."""
        if self.name.endswith("ForSequenceClassification") and self.config.get_text_config().pad_token_id is None:
            self.config.get_text_config().pad_token_id = 0
            self.notes.append("the configuration names no padding token, which a batch of 2 needs: token 0 was taken")

    def _pixels(self) -> torch.Tensor:
        size = self._get("image_size")
        if size is None:
            size = 224
            self.notes.append("the configuration states no image size: 224 × 224 was taken")
        height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
        frames = [self._get("num_frames")] if "Video" in self.name else []
        return self._normal(BATCH, *frames, self._get("num_channels", default=3), height, width)

    def _spectrogram(self) -> torch.Tensor | None:
        bins, positions = self._get("num_mel_bins"), self._get("max_source_positions")
        if bins is None or positions is None:
            return None
        return self._normal(BATCH, bins, 2 * positions)  # the second convolution of the encoder halves the time

    def _waveform(self) -> torch.Tensor | None:
        if self._get("num_mel_bins") and self._get("max_length"):
            return self._normal(BATCH, self._get("max_length"), self._get("num_mel_bins"))
        return self._normal(BATCH, SAMPLES) if self._get("conv_dim") else None

    def _second_input(self) -> Batch:
        """Images for a model that compares them with text; one that mixes them into the text runs on text alone."""
        if self.main != "input_ids" or "pixel_values" not in self.takes or not hasattr(self.config, "vision_config"):
            return {}
        if self._get("image_token_id", "image_token_index") is not None:
            self.notes.append("the batch is text alone: the image encoder was not examined")
            return {}
        return {"pixel_values": self._pixels()} | ({"return_loss": True} if "return_loss" in self.takes else {})

    def _decoder(self) -> Batch:
        if not self.config.is_encoder_decoder or "decoder_input_ids" not in self.takes:
            return {}
        length = self._length("max_target_positions", *POSITIONS)
        vocabulary = self._get("decoder_vocab_size", "vocab_size")
        targets = self._integers(BATCH, length, high=vocabulary)
        first = self._get("decoder_start_token_id", "pad_token_id", default=0)
        shifted = torch.cat([torch.full((BATCH, 1), first), targets[:, :-1]], dim=1)
        wanted = self.name.endswith(LANGUAGE) and "labels" in self.takes
        return {"decoder_input_ids": shifted} | ({"labels": targets} if wanted else {})

    def _labels(self, value: torch.Tensor) -> Batch:
        """Labels of the head, so that the output has a loss; a model without a head has none."""
        if self.name.endswith("ForQuestionAnswering") and "start_positions" in self.takes:
            ends = {"high": value.shape[1]}
            return {"start_positions": self._integers(BATCH, **ends), "end_positions": self._integers(BATCH, **ends)}
        if "labels" not in self.takes:
            return {}
        if self.name.endswith(CLASSIFIED):
            return {"labels": self._classes(BATCH)}
        if self.name.endswith("ForTokenClassification"):
            return {"labels": self._classes(*value.shape)}
        if self.name.endswith("ForCTC"):
            return {"labels": self._integers(BATCH, 8, low=1, high=self._get("vocab_size"))}  # 0 is the blank
        return self._language_labels(value)

    def _classes(self, *shape: int) -> torch.Tensor:
        """Draw class indices; a head with one output is a regression."""
        return (
            self._normal(*shape) if self.config.num_labels == 1 else self._integers(*shape, high=self.config.num_labels)
        )

    def _language_labels(self, value: torch.Tensor) -> Batch:
        if not self.name.endswith(LANGUAGE):
            self.notes.append(f"no way is known to make the labels of {self.name}: its own loss was not examined")
            return {}
        return {} if self.config.is_encoder_decoder else {"labels": value.clone()}


def _position_padding(model: torch.nn.Module) -> int:
    """Positions that a sequence cannot have, in models that count them from the one after the padding position."""
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    return max(
        (padding + 1 for table in tables if (padding := getattr(table, "padding_idx", None)) is not None), default=0
    )
