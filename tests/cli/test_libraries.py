"""Library models: the derived batch fits, its loss is that of guessing, and nothing is ever fetched.

The oracle for a batch is the loss of an untrained classifier. Its logits know nothing of the labels, so if they are
normal with variance v, the cross-entropy over n classes is ln(n) + v/2: the mean of exp(logit) is exp(v/2). Labels out
of range, missing or of another head give another value or none.
"""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from justright.adapters.base import load_adapter  # noqa: E402
from justright.adapters.torch.job import prepare  # noqa: E402
from justright.adapters.torch.libraries import building, load  # noqa: E402
from justright.cli.sources import resolve  # noqa: E402
from justright.errors import BackendError, ModelError  # noqa: E402

TINY = "num_hidden_layers=1&hidden_size=32&num_attention_heads=2&intermediate_size=64"
AUDIO = "d_model=32&encoder_layers=1&decoder_layers=1&encoder_attention_heads=2&decoder_attention_heads=2"
CLIP = "projection_dim=16&" + "&".join(
    f"{part}.{each}" for part in ("text_config", "vision_config") for each in TINY.split("&")
)

GUESSES = {
    "transformers:gpt2?n_layer=1&n_embd=32&n_head=2&vocab_size=99": ("GPT2LMHeadModel", 99),
    "transformers:GPT2Config?n_layer=1&n_embd=32&n_head=2&vocab_size=99": ("GPT2LMHeadModel", 99),
    f"transformers:LlamaForCausalLM?{TINY}&num_key_value_heads=1&vocab_size=77": ("LlamaForCausalLM", 77),
    f"transformers:bert?{TINY}&vocab_size=99": ("BertForMaskedLM", 99),
    f"transformers:roberta?{TINY}&vocab_size=99&max_position_embeddings=20": ("RobertaForMaskedLM", 99),
    f"transformers:BertForTokenClassification?{TINY}&num_labels=7": ("BertForTokenClassification", 7),
    f"transformers:BertForQuestionAnswering?{TINY}": ("BertForQuestionAnswering", 64),
    "transformers:GPT2ForSequenceClassification?n_layer=1&n_embd=32&n_head=2&num_labels=5": (
        "GPT2ForSequenceClassification", 5,
    ),
    "transformers:t5?num_layers=1&d_model=32&num_heads=2&d_ff=64&vocab_size=99": ("T5ForConditionalGeneration", 99),
    f"transformers:bart?{AUDIO}&vocab_size=99": ("BartForConditionalGeneration", 99),
    f"transformers:vit?{TINY}&image_size=32&patch_size=8&num_labels=6": ("ViTForImageClassification", 6),
    "transformers:resnet?depths=[1,1,1,1]&num_labels=6": ("ResNetForImageClassification", 6),
    f"transformers:whisper?{AUDIO}&max_source_positions=20": ("WhisperForConditionalGeneration", 51865),
}  # fmt: skip


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Count every attempt to reach the network, and refuse it."""
    attempts = []

    def refuse(_socket, address):
        attempts.append(address)
        raise OSError("no network in a test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: refuse(None, arguments))
    yield
    assert attempts == []


def loss_of(target):
    torch.manual_seed(0)
    job = prepare(target.model, target.batch, target.loss)
    return float(job.score(target.model(*job.args, **job.kwargs)).detach())


@pytest.mark.parametrize(("source", "kind", "classes"), [(key, *value) for key, value in GUESSES.items()])
def test_an_untrained_head_guesses(source, kind, classes):
    target = load(source)
    assert (type(target.model).__name__, target.title) == (kind, source)
    assert target.model(**target.batch).loss is not None
    logits = getattr(target.model(**target.batch), "logits", torch.zeros(2))
    assert loss_of(target) == pytest.approx(math.log(classes) + float(logits.detach().var()) / 2, abs=0.5)


def test_a_model_of_two_inputs_gets_both_and_its_own_loss():
    target = load(f"transformers:clip?{CLIP}")
    output = target.model(**target.batch)
    pairs = torch.nn.functional.cross_entropy(output.logits_per_image, torch.arange(2))
    texts = torch.nn.functional.cross_entropy(output.logits_per_image.T, torch.arange(2))
    assert float(output.loss.detach()) == pytest.approx(float((pairs + texts).detach()) / 2, rel=1e-5)


@pytest.mark.parametrize(
    "source", [f"transformers:BertModel?{TINY}", "transformers:T5Model?num_layers=1&d_model=32&d_ff=64"]
)
def test_a_model_without_a_head_gets_no_labels(source):
    target = load(source)
    assert "labels" not in target.batch
    assert target.model(**target.batch).last_hidden_state.shape[:2] == (2, 64)


def test_sequences_fit_short_positions():
    assert load("transformers:gpt2?n_layer=1&n_embd=32&n_head=2&n_positions=10").batch["input_ids"].shape == (2, 10)


def test_a_batch_is_the_same_every_time():
    first, again = (load(f"transformers:bert?{TINY}").batch for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_waveform_of_one_second():
    target = load(f"transformers:Wav2Vec2ForCTC?{TINY}")
    assert target.batch["input_values"].shape == (2, 16_000)
    assert math.isfinite(loss_of(target))


def test_an_input_that_cannot_be_made_is_said():
    target = load(
        "transformers:perceiver?num_blocks=1&num_self_attends_per_block=1&d_model=32&d_latents=32&num_latents=4"
    )
    assert target.batch is None
    assert "no way is known" in " ".join(target.notes)


@pytest.mark.parametrize("given", ["{folder}/config.json", "{folder}"])
@pytest.mark.parametrize(
    ("architectures", "kind"), [(["BertLMHeadModel"], "BertLMHeadModel"), (None, "BertForMaskedLM")]
)
def test_a_configuration_file(given, architectures, kind, tmp_path):
    sizes = {"num_hidden_layers": 1, "hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    config = {"model_type": "bert", "architectures": architectures, **sizes, "vocab_size": 50, "dtype": "bfloat16"}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    target = load(f"transformers:{given.format(folder=tmp_path)}?hidden_size=64&vocab_size=60")
    assert type(target.model).__name__ == kind
    assert target.model.get_input_embeddings().weight.shape == (60, 64)
    assert target.model.dtype == torch.float32
    assert any("bfloat16" in note for note in target.notes)


def test_options_reach_parts_and_derived_values():
    model = load(
        f"transformers:clip?{CLIP}&vision_config.num_hidden_layers=2".replace("vision_config.num_hidden_layers=1&", "")
    ).model
    assert (len(model.text_model.encoder.layers), len(model.vision_model.encoder.layers)) == (1, 2)


def test_a_model_that_does_not_fit_is_refused_before_memory_is_taken(monkeypatch):
    monkeypatch.setattr(building, "_free_bytes", lambda: 10e9)
    with pytest.raises(ModelError, match="54 GB of weights and gradients"):  # 6.74e9 parameters of 4 bytes, twice
        load("transformers:llama")


def test_a_package_that_a_model_needs_is_named():
    with pytest.raises(BackendError, match="pip install"):
        load("transformers:TimmBackbone")


def test_the_client_of_the_hub_is_offline_only_while_a_model_is_built(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with building.offline():
        assert constants.HF_HUB_OFFLINE
    assert not constants.HF_HUB_OFFLINE


@pytest.mark.parametrize("source", ["net.py:make", "package:make", "gpt2", "torch:nn", "transformersx:gpt2"])
def test_other_sources_are_not_ours(source):
    assert load_adapter("torch").load(source) is None


@pytest.mark.parametrize("source", [f"transformers:bert?{TINY}", "timm:test_vit?num_classes=10"])
def test_library_models_are_seeded_and_recorded(source):
    first, again, other = (resolve(source, seed=seed) for seed in (1, 1, 2))
    state, same, different = (dict(each.model.named_parameters()) for each in (first, again, other))
    assert all(torch.equal(state[name], same[name]) for name in state)
    assert any(not torch.equal(state[name], different[name]) for name in state)
    assert set(first.initializers) <= set(state)
    assert any(name.endswith("weight") for name in first.initializers)


# timm


@pytest.mark.parametrize(
    ("options", "shape", "classes"),
    [
        ("num_classes=10", (3, 160, 160), 10),
        ("num_classes=7&img_size=32&patch_size=8", (3, 32, 32), 7),
        ("num_classes=5&in_chans=1&img_size=[32,64]", (1, 32, 64), 5),
    ],
)
def test_a_model_of_timm_guesses(options, shape, classes):
    target = load(f"timm:test_vit?{options}")
    assert target.batch.args[0].shape == (2, *shape)
    assert target.batch.target.high == classes
    assert target.loss == "cross_entropy"
    assert loss_of(target) == pytest.approx(math.log(classes), abs=0.5)


@pytest.mark.parametrize("options", ["num_classes=0", "features_only=true"])
def test_a_model_of_timm_without_classes_has_no_loss(options):
    target = load(f"timm:test_resnet?{options}")
    assert (target.loss, target.batch.target) == (None, None)


ORDERS = [
    pytest.param(["load('timm:test_resnet')", "build()"], id="transformers after"),
    pytest.param(["build()", "load('timm:test_resnet')", "build()"], id="transformers before", marks=pytest.mark.slow),
]

CHILD = """
import importlib.util, sys
from justright.adapters.torch.libraries import load
def build():
    return load('transformers:vit?num_hidden_layers=1&hidden_size=32&num_attention_heads=2&intermediate_size=64').model
real = {{name for name in ("torchvision", "PIL") if importlib.util.find_spec(name)}}
{lines}
import transformers
from transformers.utils import is_torchvision_available, is_vision_available
seen = {{name for name in ("torchvision", "PIL") if importlib.util.find_spec(name)}}
lent = {{name.partition(".")[0] for name in sys.modules}} & {{"torchvision", "PIL"}}
assert seen == real, seen
assert lent <= real, lent
assert is_torchvision_available() == (real == {{"torchvision", "PIL"}})
print(type(build()).__name__, type(load('timm:test_resnet').model).__name__)
"""


@pytest.mark.parametrize("lines", ORDERS)
def test_stand_ins_leave_nothing_behind(lines):
    code = CHILD.format(lines="\n".join(lines))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ViTForImageClassification", "ResNet"]


def test_a_stand_in_can_be_named_and_not_used():
    from justright.adapters.torch.libraries import standins

    with standins._lent(standins._torchvision()):
        from torchvision.ops.misc import FrozenBatchNorm2d
    assert not isinstance(torch.nn.BatchNorm2d(3), FrozenBatchNorm2d)
    with pytest.raises(BackendError, match="pip install torchvision"):
        FrozenBatchNorm2d(3)
