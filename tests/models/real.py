"""Real models of the libraries, at widths that two cores measure in seconds: from their own code and initializers."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  the field's usual name for it

BATCH, TOKENS, CLASSES, WORDS, WIDE = 4, 48, 10, 512, 1024


def words(high=WORDS, tokens=TOKENS, batch=BATCH):
    return torch.randint(2, high, (batch, tokens))


def images(size, batch=BATCH, channels=3):
    return torch.randn(batch, channels, size, size), torch.randint(0, CLASSES, (batch,))


def language(config, model_class, **sizes):
    """Build a causal language model of transformers that scores its own input."""
    import transformers

    made = getattr(transformers, config)(vocab_size=WORDS, use_cache=False, **sizes)
    x = words()
    return getattr(transformers, model_class)(made), {"input_ids": x, "labels": x}, None


COMMON = {"hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4, "intermediate_size": 384}


def gpt2():
    return language("GPT2Config", "GPT2LMHeadModel", n_layer=8, n_embd=192, n_head=6, n_positions=128)


def llama():
    return language("LlamaConfig", "LlamaForCausalLM", **COMMON, num_key_value_heads=2)


def qwen():
    return language("Qwen3Config", "Qwen3ForCausalLM", **COMMON, num_key_value_heads=2, head_dim=32)


def mixtral():
    return language("MixtralConfig", "MixtralForCausalLM", **COMMON, num_key_value_heads=2, num_local_experts=4)


def bert():
    import transformers

    made = transformers.BertConfig(vocab_size=WORDS, **COMMON)
    x = words()
    return transformers.BertForMaskedLM(made), {"input_ids": x, "labels": x}, None


def t5():
    import transformers

    made = transformers.T5Config(
        vocab_size=WORDS,
        d_model=128,
        d_kv=32,
        d_ff=256,
        num_layers=4,
        num_heads=4,
        use_cache=False,
        decoder_start_token_id=0,
    )
    return transformers.T5ForConditionalGeneration(made), {"input_ids": words(), "labels": words()}, None


def vit():
    import transformers

    made = transformers.ViTConfig(**COMMON, image_size=64, patch_size=8, num_labels=CLASSES)
    x, y = images(64)
    return transformers.ViTForImageClassification(made), {"pixel_values": x, "labels": y}, None


def whisper():
    import transformers

    made = transformers.WhisperConfig(
        vocab_size=WORDS, d_model=128, encoder_layers=4, decoder_layers=4, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=256, decoder_ffn_dim=256, max_source_positions=64,
        pad_token_id=0, bos_token_id=1, eos_token_id=1, decoder_start_token_id=1, use_cache=False,
    )  # fmt: skip
    return (
        transformers.WhisperForConditionalGeneration(made),
        {"input_features": torch.randn(BATCH, 80, 128), "labels": words()},
        None,
    )


def mamba():
    return language("MambaConfig", "MambaForCausalLM", hidden_size=128, num_hidden_layers=6, state_size=8)


def vision(name, size=64, batch=BATCH, **options):
    """Build a timm model with a classifier, and a batch."""
    from justright.adapters.torch.libraries.standins import import_timm

    return import_timm().create_model(name, num_classes=CLASSES, **options), images(size, batch), "cross_entropy"


def convnext():
    return vision("convnext_atto")


def resnet50():
    return vision("resnet50", zero_init_last=False, batch=8)


def resnet50_zero_gamma():
    return vision("resnet50", zero_init_last=True, batch=8)


def efficientnet():
    return vision("efficientnet_b0", size=128, batch=8)


def swin():
    return vision("swin_tiny_patch4_window7_224", size=112, img_size=112, embed_dim=48)


def nfnet():
    return vision("nfnet_l0")


def vgg19():
    return vision("vgg19", size=64)


def tanh_mlp():
    layers = []
    for _ in range(100):
        layer = nn.Linear(WIDE, WIDE)
        nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    batch = torch.randn(32, WIDE), torch.randint(0, CLASSES, (32,))
    return nn.Sequential(*layers, nn.Linear(WIDE, CLASSES)), batch, "cross_entropy"


class Block(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()
        )


class UNet(nn.Module):
    """The network of Ronneberger et al. 2015, with padding and four levels."""

    def __init__(self, width=16, levels=4):
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList([Block(before, after) for before, after in zip([1, *widths], widths, strict=False)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * each, each, 2, stride=2) for each in widths[-2::-1]])
        self.join = nn.ModuleList([Block(2 * each, each) for each in widths[-2::-1]])
        self.head = nn.Conv2d(width, 2, 1)

    def forward(self, x):
        kept = []
        for block in self.down[:-1]:
            kept.append(block(x))
            x = F.max_pool2d(kept[-1], 2)
        x = self.down[-1](x)
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([kept.pop(), up(x)], dim=1))
        return self.head(x)


def unet():
    return UNet(), (torch.randn(4, 1, 32, 32), torch.randint(0, 2, (4, 32, 32))), "cross_entropy"


class Sequence(nn.Module):
    def __init__(self):
        super().__init__()
        self.cells = nn.LSTM(32, 128, batch_first=True)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


def lstm():
    return Sequence(), (torch.randn(16, 100, 32), torch.randint(0, CLASSES, (16,))), "cross_entropy"


MODELS = {
    "GPT-2": gpt2,
    "Llama": llama,
    "Qwen3": qwen,
    "Mixtral": mixtral,
    "BERT": bert,
    "T5": t5,
    "ViT": vit,
    "Whisper": whisper,
    "Mamba": mamba,
    "ConvNeXt": convnext,
    "ResNet-50": resnet50,
    "ResNet-50, zero gamma": resnet50_zero_gamma,
    "EfficientNet": efficientnet,
    "Swin": swin,
    "NFNet": nfnet,
    "VGG-19, no norm": vgg19,
    "tanh MLP, depth 100": tanh_mlp,
    "U-Net": unet,
    "LSTM, 100 steps": lstm,
}
"""Models by the name they have in the table."""
