"""What a prediction can be asked of: a model, what builds one, a configuration, the name of a library's model."""

import pytest

import justright as jr
from justright.errors import ModelError

transformers = pytest.importorskip("transformers")

SIZES = {"n_layer": 2, "n_embd": 32, "n_head": 2, "vocab_size": 50, "n_positions": 16} | {
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def written(report):
    return {site.name: site.forward.rms for site in report.profile.sites if site.forward}


def test_a_configuration_and_a_name_give_what_the_model_gives():
    config = transformers.GPT2Config(**SIZES, use_cache=False)
    before = config.to_dict()
    given = "int64:2,16:0..50"
    of_config = jr.predict(config, given)
    of_name = jr.predict("transformers:gpt2?" + "&".join(f"{name}={size}" for name, size in SIZES.items()), given)
    of_function = jr.predict(lambda: transformers.GPT2LMHeadModel(config), given)
    assert config.to_dict() == before
    assert of_config.title == "GPT2Config"
    assert written(of_config) == written(of_name)
    assert written(of_config) == {name: pytest.approx(rms) for name, rms in written(of_function).items()}


def test_a_library_model_brings_a_batch():
    report = jr.predict(transformers.GPT2Config(**SIZES))
    assert report.forecast.loss is not None
    assert any("output.loss" in each for each in report.coverage.assumptions)


@pytest.mark.parametrize("wrong", [3, "nothing:here", {"layers": 3}, None])
def test_what_is_none_of_these_is_said(wrong):
    with pytest.raises(ModelError):
        jr.predict(wrong, "2,3")
