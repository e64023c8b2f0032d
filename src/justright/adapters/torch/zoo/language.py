"""Small configurations of the transformers library, on digits read as sequences of gray levels or as images."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from justright.adapters.networks import Shelf
from justright.adapters.torch.zoo._parts import images, prepared, sequences

SHELF = Shelf("language", prepare=prepared, needs=("sklearn", "transformers"))
Built = tuple[nn.Module, dict[str, torch.Tensor], None]

TOKENS = 20
"""17 gray levels and three special tokens."""

COMMON: dict[str, Any] = {
    "vocab_size": TOKENS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}


def _library() -> Any:  # noqa: ANN401  the constructors of configurations are generated, and their types with them
    import transformers

    return transformers


def _next_token(model: nn.Module) -> Built:
    ids = sequences()
    return model, {"input_ids": ids, "labels": ids}, None


@SHELF.healthy("gpt2", "GPT-2: tied embeddings, pre-norm, GELU")
def _gpt2(_seed: int) -> Built:
    config = _library().GPT2Config(vocab_size=TOKENS, n_embd=32, n_layer=2, n_head=4, n_positions=64)
    return _next_token(_library().GPT2LMHeadModel(config))


@SHELF.healthy("llama", "Llama: RMSNorm, rotary positions, SwiGLU, grouped queries")
def _llama(_seed: int) -> Built:
    return _next_token(_library().LlamaForCausalLM(_library().LlamaConfig(**COMMON, num_key_value_heads=2)))


@SHELF.healthy("mixtral", "Mixtral: every token goes to two of four experts")
def _mixtral(_seed: int) -> Built:
    config = _library().MixtralConfig(**COMMON, num_key_value_heads=2, num_local_experts=4)
    return _next_token(_library().MixtralForCausalLM(config))


@SHELF.healthy("mamba", "Mamba: a state-space model whose steps start small")
def _mamba(_seed: int) -> Built:
    config = _library().MambaConfig(vocab_size=TOKENS, hidden_size=32, num_hidden_layers=2, state_size=4)
    return _next_token(_library().MambaForCausalLM(config))


@SHELF.healthy("bert", "BERT: post-norm, every seventh token masked")
def _bert(_seed: int) -> Built:
    ids = sequences()
    hidden = ids.clone()
    hidden[:, ::7] = 1
    labels = torch.where(hidden == 1, ids, -100)
    model = _library().BertForMaskedLM(_library().BertConfig(**COMMON))
    return model, {"input_ids": hidden, "labels": labels}, None


@SHELF.healthy("bert-pooler", "BERT without a head: its pooler is not read by the loss, which is a note at most")
def _pooler(_seed: int) -> Built:
    model = _library().BertModel(_library().BertConfig(**COMMON))
    return model, {"input_ids": sequences()}, None


@SHELF.healthy("t5", "T5: encoder and decoder, relative positions, no bias anywhere")
def _t5(_seed: int) -> Built:
    config = _library().T5Config(
        vocab_size=TOKENS, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    ids = sequences()
    return _library().T5ForConditionalGeneration(config), {"input_ids": ids, "labels": ids[:, :16].contiguous()}, None


@SHELF.healthy("vit", "ViT: patches of 2 x 2 pixels")
def _vit(_seed: int) -> Built:
    config = _library().ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=8, patch_size=2,
        num_channels=1, num_labels=10,
    )  # fmt: skip
    pixels, classes = images(64)
    return _library().ViTForImageClassification(config), {"pixel_values": pixels, "labels": classes}, None
