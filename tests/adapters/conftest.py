"""What the tests of the adapter share: small models of every kind, each with a batch."""

from __future__ import annotations

import pytest
import torch
from torch import nn

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}


class Residual(nn.Module):
    """Blocks with a sum around each."""

    def __init__(self, width: int = 12, depth: int = 3) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 24), nn.GELU(), nn.Linear(24, width))
            for _ in range(depth)
        )

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return x


class Twice(nn.Module):
    """Uses one layer twice, and never uses another."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.idle = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.shared(torch.relu(self.shared(x)))


def words(seed: int = 0) -> dict[str, torch.Tensor]:
    ids = torch.randint(3, 50, (2, 9), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "labels": ids}


def images() -> dict[str, torch.Tensor]:
    return {"pixel_values": torch.randn(2, 3, 32, 32), "labels": torch.tensor([0, 1])}


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3, groups=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(6, 5),
    )  # fmt: skip


def transformers(name: str, **options):
    import transformers

    options = {**SMALL, **options} if name != "GPT2" else options
    return getattr(transformers, f"{name}Config")(**options), transformers


def language_model(name: str, **options) -> nn.Module:
    config, library = transformers(name, **options)
    return library.AutoModelForCausalLM.from_config(config)


def bert() -> nn.Module:
    config, library = transformers("Bert")
    return library.BertForMaskedLM(config)


def vit() -> nn.Module:
    config, library = transformers("ViT", image_size=32, patch_size=8)
    return library.ViTForImageClassification(config)


def t5() -> nn.Module:
    config, library = transformers(
        "T5", d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return library.T5ForConditionalGeneration(config)


GPT2 = {
    "vocab_size": 50,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 32,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

ZOO = {
    "mlp": lambda: (nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)), torch.randn(5, 6)),
    "cnn": lambda: (cnn(), torch.randn(4, 3, 10, 10)),
    "residual": lambda: (Residual(), torch.randn(3, 12)),
    "twice": lambda: (Twice(), torch.randn(3, 6)),
    "encoder": lambda: (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2), torch.randn(2, 5, 16),
    ),
    "transformer": lambda: (
        nn.Transformer(16, 2, 1, 1, 32, batch_first=True), {"src": torch.randn(2, 5, 16), "tgt": torch.randn(2, 4, 16)},
    ),
    "gpt2": lambda: (language_model("GPT2", **GPT2), words()),
    "llama": lambda: (language_model("Llama", num_key_value_heads=2), words()),
    "bert": lambda: (bert(), words()),
    "t5": lambda: (t5(), words()),
    "vit": lambda: (vit(), images()),
}  # fmt: skip


@pytest.fixture(params=ZOO)
def case(request):
    """Return the name of a model, the model and a batch."""
    torch.manual_seed(0)
    model, batch = ZOO[request.param]()
    return request.param, model, batch


@pytest.fixture
def all_are_large(monkeypatch):
    """No model is so small that its structure is recorded in place of traced."""
    monkeypatch.setattr("justright.adapters.torch.adapter.SMALL", 0)
