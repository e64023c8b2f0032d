"""Plans as YAML: to review them, keep them beside the code, and change them by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from justright.errors import InputError

__all__ = ["read", "written"]


def written(plain: Any) -> str:  # noqa: ANN401
    """Return plain data as YAML."""
    text: str = _yaml().safe_dump(plain, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    return text


def read(source: str | Path) -> Any:  # noqa: ANN401
    """Return the plain data of a file, or of a text of several lines, or raise `InputError`."""
    yaml, path = _yaml(), Path(source) if isinstance(source, Path) or "\n" not in source else None
    if path is not None and not path.is_file():
        raise InputError("no such file", where=str(path), expected="a plan that to_yaml wrote")
    text = str(source) if path is None else path.read_text("utf-8")
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(str(error).splitlines()[0], where=str(path or "plan"), expected="YAML") from error


def _yaml() -> Any:  # noqa: ANN401
    try:
        import yaml  # noqa: PLC0415  an extra
    except ImportError as error:
        raise InputError(
            "no package 'yaml'", where="plan", expected="PyYAML installed", try_="pip install 'justright[cli]'"
        ) from error
    return yaml
