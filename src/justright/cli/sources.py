"""What the command line names: a model, an input, a loss, made into the objects that `justright.checking` takes."""

from __future__ import annotations

import difflib
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from justright.adapters.base import ADAPTERS, Target, adapter_of, load_adapter
from justright.cli.importing import Place, attribute_of, call, importable, imported, parsed
from justright.core.graph import Initializer
from justright.core.inputs import InputSpec, parse_input
from justright.errors import BackendError, InputError, JustRightError, LossError, ModelError

__all__ = ["find_loss", "place_on", "read_input", "resolve", "with_input"]

LIBRARIES = {"transformers": "torch", "timm": "torch"}
"""Prefix of a library's models to the framework whose adapter builds them."""

KEYS = ("model", "batch", "loss", "optimizer", "input")
"""What a factory's dictionary may hold."""

RETURNS = "a model, a tuple (model, batch), or a dict with model, batch, loss, optimizer, input"

Recorder = Callable[[Any], Mapping[str, Initializer]]


def resolve(source: str, *, seed: int = 0, values: bool = True) -> Target:
    """Build the model that a source names.

    Parameters
    ----------
    source
        ``path/to/file.py:name``, ``package.module:name``, ``transformers:NAME`` or ``timm:NAME``.
    seed
        Seed of the random generators of Python, of NumPy and of the framework, set before anything is built.
    values
        Whether the parameters of a library's model have values; a factory of the user's is called as it is.

    Raises
    ------
    ModelError
        If it cannot be found or built, or is no model.
    InputError
        If a factory's input specification or a library's options cannot be read.
    BackendError
        If a package is missing.
    """
    prefix = source.partition(":")[0]
    library = prefix in LIBRARIES and ":" in source
    target = _from_library(source, prefix, seed, values) if library else _from_user(source, seed)
    return replace(target, title=target.title or source)


def _from_library(source: str, prefix: str, seed: int, values: bool) -> Target:
    adapter = load_adapter(LIBRARIES[prefix])
    _seed(seed)
    with adapter.recording_initializers() as recorded:
        target = adapter.load(source, values=values)
        if target is None:
            raise ModelError(repr(source), where="MODEL", expected=f"a model that {prefix} has")
        return replace(target, initializers=target.initializers or recorded(target.model))


def _from_user(source: str, seed: int) -> Target:
    place = parsed(source)
    with importable(place.folder):
        _seed(seed)
        module = imported(place)
        found = attribute_of(module, place)
        _seed(seed)  # the import may have brought a framework, or drawn numbers
        with _recording() as recorded:
            made = call(found, place) if callable(found) and not _is_model(found) else found
            target = _target(made, place)
            return replace(target, initializers=recorded(target.model))


def _seed(seed: int) -> None:
    """Seed every generator that a factory may draw from; a command owns its process, so global ones as well."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  factories draw from the legacy generator too
    for name in ADAPTERS:
        framework = sys.modules.get(name)
        if framework is not None:
            framework.manual_seed(seed)


@contextmanager
def _recording() -> Iterator[Recorder]:
    """Record initializers if the user's file brought a framework; nothing is recorded otherwise."""
    name = next((name for name in ADAPTERS if name in sys.modules), None)
    if name is None:
        yield lambda _model: {}
    else:
        with load_adapter(name).recording_initializers() as recorded:
            yield recorded


def _is_model(thing: Any) -> bool:  # noqa: ANN401
    try:
        adapter_of(thing)
    except JustRightError:
        return False
    return True


def _target(made: Any, place: Place) -> Target:  # noqa: ANN401
    if isinstance(made, Mapping):
        return _from_mapping(made, place)
    if isinstance(made, tuple):
        if len(made) != 2:  # noqa: PLR2004  model and batch
            raise _no_model(f"a tuple of {len(made)}", place)
        return Target(_checked(made[0], place), made[1])
    return Target(_checked(made, place))


def _from_mapping(made: Mapping[str, Any], place: Place) -> Target:
    unknown = [str(key) for key in made if key not in KEYS]
    if unknown or "model" not in made:
        raise _no_model(f"a dict with keys {', '.join(map(str, made)) or 'none'}", place)
    batch = made.get("batch")
    if "input" in made:
        if batch is not None:
            raise InputError("both batch and input", where=str(place), expected="one of them")
        batch = parse_input(made["input"])
    return Target(_checked(made["model"], place), batch, made.get("loss"), made.get("optimizer"))


def _checked(model: Any, place: Place) -> Any:  # noqa: ANN401
    if _is_model(model):
        return model
    raise _no_model(f"a class, {model.__name__}" if isinstance(model, type) else _described(model), place)


def _described(thing: Any) -> str:  # noqa: ANN401
    if thing is None:
        return "None"
    kind = type(thing)
    return f"a {kind.__name__}" if kind.__module__ == "builtins" else f"a {kind.__module__}.{kind.__qualname__}"


def _no_model(got: str, place: Place) -> ModelError:
    hint = "end the factory with: return model" if got == "None" else "return the model itself, a torch.nn.Module"
    return ModelError(f"{got} from {place.name}", where=str(place), expected=RETURNS, try_=hint)


def place_on(target: Target, device: str | None) -> Target:
    """Move the model to a device; ``None`` leaves it where it was built.

    Raises
    ------
    InputError
        If the framework does not have this device here.
    """
    if device is None:
        return target
    try:
        target.model.to(device)
    except (AttributeError, RuntimeError, AssertionError) as error:
        said = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{device!r} ({said})", where="--device", expected="a device of this machine", try_="--device cpu"
        ) from error
    return target


def read_input(text: str) -> InputSpec:
    """Read ``--input``: a short form, or the path of a YAML file that holds one, a list or a mapping of them.

    Raises
    ------
    InputError
        If the file is missing or no YAML, or a part cannot be read.
    BackendError
        If PyYAML is missing.
    """
    return parse_input(_yaml(Path(text)) if text.endswith((".yaml", ".yml")) else text)


def _yaml(path: Path) -> Any:  # noqa: ANN401
    try:
        import yaml
    except ModuleNotFoundError:
        raise BackendError(
            "no package 'yaml'", where="--input", expected="PyYAML installed", try_="pip install 'justright[cli]'"
        ) from None
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{error.strerror}: {path}", where="--input", expected="a YAML file that exists") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise InputError(f"no YAML ({said})", where=str(path), expected="a YAML file with an input in it") from error


def with_input(target: Target, spec: InputSpec) -> Target:
    """Replace the batch; a target that only the source knows keeps its form, with a row for every input.

    Parameters
    ----------
    target
        What the source gave.
    spec
        What the user asked for.
    """
    known = target.batch.target if isinstance(target.batch, InputSpec) else None
    first = next(iter((*spec.args, *(each for _, each in spec.kwargs))), None)
    if spec.target is None and known is not None and first is not None and first.shape:
        spec = replace(spec, target=replace(known, shape=(first.shape[0], *known.shape[1:])))
    return replace(target, batch=spec)


def find_loss(text: str) -> Any:  # noqa: ANN401
    """Return a loss: the name of one, checked, or the callable that a source names.

    Raises
    ------
    LossError
        If there is no loss of that name, or what was found cannot be called.
    ModelError
        If the file or module cannot be found or imported.
    BackendError
        If the framework is not installed.
    """
    if ":" in text:
        return _own_loss(parsed(text))
    load_adapter("torch")
    from justright.adapters.torch.losses import LOSSES

    if text in LOSSES:
        return text
    near = difflib.get_close_matches(text.lower().replace("-", "_"), LOSSES, n=3, cutoff=0.4)
    raise LossError(
        repr(text), where="--loss", expected=f"one of {', '.join(LOSSES)}, or file.py:callable",
        try_=", ".join(f"--loss {each}" for each in near),
    )  # fmt: skip


def _own_loss(place: Place) -> Callable[..., Any]:
    with importable(place.folder):
        found = attribute_of(imported(place), place)
    if isinstance(found, type) or not callable(found):
        raise LossError(
            f"a class, {found.__name__}" if isinstance(found, type) else _described(found), where=str(place),
            expected="a callable of (output, target)", try_="an instance or a function, not a class",
        )  # fmt: skip
    return found
