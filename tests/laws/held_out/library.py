"""Models of libraries that people use, built from their configurations: nothing is downloaded."""

from __future__ import annotations

SMALL = "num_hidden_layers=2&hidden_size=64&num_attention_heads=4&intermediate_size=128"
WORDS = f"{SMALL}&vocab_size=500"
BOTH = "encoder_layers=2&decoder_layers=2&d_model=64"

GROUPED = "llama mistral qwen2 qwen3 gemma gemma2 mixtral".split()  # noqa: SIM905  words read better
PLAIN = [
    "phi",
    "gpt_neox",
    "bert",
    "roberta",
    "albert",
    "electra",
    "deberta-v2",
    "olmo",
    "cohere",
    "granite",
    "starcoder2",
]

TRANSFORMERS = {
    "gpt2": "n_layer=2&n_embd=64&n_head=4&vocab_size=500",
    "opt": "num_hidden_layers=2&hidden_size=64&num_attention_heads=4&ffn_dim=128&vocab_size=500&word_embed_proj_dim=64",
    "bloom": "n_layer=2&hidden_size=64&n_head=4&vocab_size=500",
    **dict.fromkeys(GROUPED, f"{WORDS}&num_key_value_heads=2"),
    **dict.fromkeys(PLAIN, WORDS),
    "stablelm": f"{WORDS}&num_key_value_heads=4",
    "falcon": "num_hidden_layers=2&hidden_size=64&num_attention_heads=4&vocab_size=500",
    "distilbert": "n_layers=2&dim=64&n_heads=4&hidden_dim=128&vocab_size=500",
    "t5": "num_layers=2&d_model=64&num_heads=4&d_ff=128&vocab_size=500",
    "bart": f"{BOTH}&encoder_attention_heads=4&decoder_attention_heads=4&vocab_size=500&encoder_ffn_dim=128"
    "&decoder_ffn_dim=128",
    "vit": SMALL,
    "deit": SMALL,
    "swin": "",
    "convnext": "",
    "resnet": "",
    "whisper": f"{BOTH}&encoder_attention_heads=4&decoder_attention_heads=4&vocab_size=51865",
    "mamba": "num_hidden_layers=2&hidden_size=64&vocab_size=500",
    "mobilenet_v2": "",
    "segformer": "",
}
"""Options by model, which make large ones small."""

TIMM = [
    "resnet18",
    "resnet50",
    "vgg11",
    "vgg16_bn",
    "densenet121",
    "convnext_atto",
    "efficientnet_b0",
    "mobilenetv3_small_100",
    "vit_tiny_patch16_224",
    "mixer_s32_224",
    "swin_tiny_patch4_window7_224",
    "nfnet_l0",
    "regnety_002",
    "deit_tiny_patch16_224",
    "cait_xxs24_224",
    "gmlp_s16_224",
    "poolformer_s12",
    "inception_v3",
    "xception41",
    "resmlp_12_224",
    "coat_lite_tiny",
    "pit_ti_224",
    "edgenext_xx_small",
    "hrnet_w18_small",
    "repvgg_a0",
    "ghostnet_100",
    "dla34",
    "levit_128s",
    "maxvit_nano_rw_256",
    "beit_base_patch16_224",
    "eva02_tiny_patch14_224",
]

MODELS = (
    *(f"transformers:{name}{'?' if options else ''}{options}" for name, options in TRANSFORMERS.items()),
    *(f"timm:{name}" for name in TIMM),
)
