"""Models of Hugging Face transformers from a class, a model type or a configuration file."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from justright.adapters.base import Target
from justright.adapters.torch.libraries.building import build
from justright.adapters.torch.libraries.options import check_known, near, typed
from justright.adapters.torch.libraries.transformers_inputs import batch_for
from justright.errors import JustRightError, ModelError

__all__ = ["configured", "load"]

TASKS = (
    "MASKED_LM",
    "CAUSAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "ZERO_SHOT_IMAGE_CLASSIFICATION",
    "IMAGE_CLASSIFICATION",
    "VIDEO_CLASSIFICATION",
    "CTC",
    "AUDIO_CLASSIFICATION",
    "OBJECT_DETECTION",
    "SEMANTIC_SEGMENTATION",
)
"""What a configuration is built for, the first that it can be: every bidirectional encoder also has a causal class,
which it is hardly ever trained as, so masked language models come first."""

SEQUENCE_TASKS = ("SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM")
"""The same for encoder-decoder configurations, whose decoders alone also have a causal class."""

EXPECTED = "a model class, a configuration class, a model type or the path of a config.json"


def load(name: str, options: Mapping[str, str], *, values: bool = True) -> Target:
    """Build a model of transformers, untrained, with a random batch.

    Parameters
    ----------
    name
        ``"GPT2LMHeadModel"``, ``"GPT2Config"``, ``"gpt2"``, or the path of a ``config.json`` or of its folder.
    options
        Values of the configuration to replace; those of a part by their path: ``text_config.num_hidden_layers``.
    values
        Whether its parameters have values, and not a shape alone.

    Raises
    ------
    ModelError
        If there is no such model, or its configuration refuses an option.
    """
    where = f"transformers:{name}"
    config_class, given, model_class = _resolve(name, where)
    return _built(_configured(config_class, given, options, where), model_class, where, values=values)


def configured(config: Any, *, values: bool = True) -> Target | None:  # noqa: ANN401
    """Build a model of transformers from a configuration object; ``None`` if it is none."""
    import transformers

    if not isinstance(config, transformers.PreTrainedConfig):
        return None
    return _built(copy.deepcopy(config), None, type(config).__name__, values=values)


def _built(config: Any, model_class: Any, where: str, *, values: bool) -> Target:  # noqa: ANN401
    chosen = model_class or _best_class(config, where)
    model = build(lambda: chosen(config), where, values=values)
    notes = [f"{chosen.__name__} was built from {type(config).__name__}"] if model_class is None else []
    notes += _dtype_note(config)
    # A key-value cache serves generation; in training nothing reads it.
    config.use_cache = False
    batch, found = batch_for(model)
    return Target(model, batch, notes=(*notes, *found))


def _resolve(name: str, where: str) -> tuple[type, dict[str, Any], type | None]:
    """Find the configuration class, values that it starts from, and the model class if the name says one."""
    import transformers

    path = Path(name) / "config.json" if Path(name).is_dir() else Path(name)
    if path.suffix == ".json":
        return _from_file(path, where)
    if name in transformers.CONFIG_MAPPING:
        return transformers.CONFIG_MAPPING[name], {}, None
    if "/" in name:
        raise ModelError(
            f"{name!r}", where=where, expected=EXPECTED + "; nothing is downloaded from the Hub",
            try_=f"save the model's config.json and give transformers:{name}/config.json",
        )  # fmt: skip
    found = _class(name, where)
    if issubclass(found, transformers.PreTrainedConfig):
        return found, {}, None
    return found.config_class, {}, found


def _class(name: str, where: str) -> Any:  # noqa: ANN401
    import transformers

    found: Any = getattr(transformers, name, None)
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedConfig):
        return found
    if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel) and found.config_class:
        return found
    classes = [each for each in dir(transformers) if "For" in each or each.endswith(("Model", "Config"))]
    concrete = [each for each in classes if not each.startswith(("Auto", "PreTrained"))]
    close = near(name, [*transformers.CONFIG_MAPPING, *concrete])
    raise ModelError(
        f"{name!r}", where=where, expected=EXPECTED, try_=", ".join(f"transformers:{each}" for each in close)
    )


def _from_file(path: Path, where: str) -> tuple[type, dict[str, Any], type | None]:
    import transformers

    values = _read(path, where)
    kind = values.pop("model_type", None)
    if kind not in transformers.CONFIG_MAPPING:
        raise ModelError(
            f"model_type {kind!r}", where=str(path), expected="a model type of this version of transformers",
            try_=", ".join(near(str(kind), transformers.CONFIG_MAPPING)),
        )  # fmt: skip
    architectures = values.get("architectures") or []
    model_class = _class(architectures[0], str(path)) if architectures else None
    return transformers.CONFIG_MAPPING[kind], values, model_class


def _read(path: Path, where: str) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"no file {str(path)!r}", where=where, expected="a config.json that exists")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{type(error).__name__}: {error}", where=str(path), expected="a JSON file") from error
    if not isinstance(values, dict):
        raise ModelError(f"a {type(values).__name__}", where=str(path), expected="a JSON object with model_type")
    return values


def _configured(config_class: Any, values: Mapping[str, Any], options: Mapping[str, str], where: str) -> Any:  # noqa: ANN401
    try:
        start = config_class.from_dict(dict(values))
        # Options go to the constructor, because many configurations derive values from others in it.
        return config_class.from_dict(_merged(values, _typed(start, options, where))) if options else start
    except JustRightError:
        raise
    except Exception as error:
        # Configurations validate themselves with exceptions of their own, which share no base class.
        raise ModelError(
            f"{type(error).__name__}: {str(error).strip()}", where=where, expected="values the configuration accepts",
            try_="correct the value, or give a config.json",
        ) from error  # fmt: skip


def _typed(config: Any, options: Mapping[str, str], where: str) -> dict[str, Any]:  # noqa: ANN401
    """Read every option in the type of the configuration's own value; a dotted key leads into a part."""
    given: dict[str, Any] = {}
    for dotted, text in options.items():
        *parts, key = dotted.split(".")
        owner, place = config, given
        for part in parts:
            check_known([part], _keys(owner), where)
            owner, place = getattr(owner, part), place.setdefault(part, {})
        check_known([key], _keys(owner), where)
        place[key] = typed(dotted, text, getattr(owner, key, None))
    return given


def _keys(config: Any) -> set[str]:  # noqa: ANN401
    accepted = inspect.signature(type(config).__init__).parameters.keys() - {"self", "kwargs"}
    return {*accepted, *config.to_dict(), *config.attribute_map, "num_labels"} if hasattr(config, "to_dict") else set()


def _merged(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, value in given.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged


def _best_class(config: Any, where: str) -> Any:  # noqa: ANN401
    import transformers

    tasks = (*(SEQUENCE_TASKS if config.is_encoder_decoder else ()), *TASKS)
    for mapping in (*(f"MODEL_FOR_{task}_MAPPING" for task in tasks), "MODEL_MAPPING"):
        found = getattr(transformers, mapping, {}).get(type(config), None)
        if found is not None:
            return found[0] if isinstance(found, tuple) else found
    raise ModelError(
        f"{type(config).__name__}", where=where, expected="a configuration with a model class of its own",
        try_="name the model class: transformers:SomeModelForSomething",
    )  # fmt: skip


def _dtype_note(config: Any) -> list[str]:  # noqa: ANN401
    wanted = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    return [] if wanted == "float32" else [f"the configuration asks for {wanted}; the model was built in float32"]
