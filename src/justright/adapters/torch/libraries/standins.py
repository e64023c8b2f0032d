"""Importing timm where torchvision cannot be imported.

The models of timm need nothing of torchvision. Its package imports, all the same, one class for an ``isinstance`` and
the image transforms of its data pipelines, so that it cannot be imported without torchvision, which has no build for
every platform (a CPU build is missing in some package registries), nor without the Pillow that torchvision brings.
Where those are missing, modules with exactly the names that timm reads while it is imported take their place for the
duration of that import, and are gone afterwards: nothing else in the process takes them for the real packages.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from justright.errors import BackendError

__all__ = ["import_timm"]

_MODES = ("NEAREST", "BILINEAR", "BICUBIC", "BOX", "HAMMING", "LANCZOS")
_DATASETS = ("CIFAR10", "CIFAR100", "FashionMNIST", "ImageFolder", "KMNIST", "MNIST")
_IMAGE_MODULES = ("ImageChops", "ImageEnhance", "ImageFilter", "ImageOps")


class _Absent:
    """In place of a class of a package that is not installed: it can be named, not used."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        raise BackendError(
            f"no package for {type(self).__name__}", where="timm", expected="torchvision installed",
            try_="pip install torchvision",
        )  # fmt: skip


def _absent(*names: str) -> dict[str, type]:
    return {name: type(name, (_Absent,), {}) for name in names}


def _torchvision() -> Mapping[str, Mapping[str, Any]]:
    """Modules of torchvision that timm imports, each with the names that it reads."""
    return {
        "torchvision": {},
        "torchvision.ops": {},
        "torchvision.ops.misc": _absent("FrozenBatchNorm2d"),
        "torchvision.transforms": _absent("ToTensor"),
        "torchvision.transforms.functional": {"InterpolationMode": Enum("InterpolationMode", _MODES)},
        "torchvision.datasets": _absent(*_DATASETS),
    }


def _pillow() -> Mapping[str, Mapping[str, Any]]:
    """Modules of Pillow that timm imports, each with the names that it reads; timm compares the version."""
    image = {**_absent("Image"), "Resampling": Enum("Resampling", _MODES)}
    return {"PIL": {"__version__": "9.1"}, "PIL.Image": image, **{f"PIL.{name}": {} for name in _IMAGE_MODULES}}


def import_timm() -> ModuleType:
    """Import timm, with stand-ins for torchvision and Pillow where those cannot be imported.

    Raises
    ------
    BackendError
        If this version of timm needs a package, or a name in it, that is not there.
    """
    if "timm" in sys.modules or importlib.util.find_spec("timm") is None:
        return importlib.import_module("timm")
    modules = {} if _importable("torchvision") else dict(_torchvision())
    modules |= {} if _importable("PIL") else _pillow()
    try:
        with _lent(modules):
            return importlib.import_module("timm")
    except ImportError as error:
        raise BackendError(
            f"{type(error).__name__}: {error}", where="timm", expected="every package that this version of timm needs",
            try_="pip install torchvision",
        ) from error  # fmt: skip


def _importable(package: str) -> bool:
    """Try an import; a build that does not fit the installed torch fails with more than an ImportError."""
    try:
        importlib.import_module(package)
    except (ImportError, RuntimeError, OSError):
        _forget(package)
        return False
    return True


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


@contextmanager
def _lent(modules: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Put stand-ins into `sys.modules` and take them out again."""
    for name, contents in modules.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        vars(module).update(contents)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        yield
    finally:
        for package in {name.partition(".")[0] for name in modules}:
            _forget(package)
