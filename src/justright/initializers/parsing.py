"""Schemes as they are written: ``"he_normal"``, ``"truncated_normal(std=0.02, bound=2)"``."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from justright.initializers.base import INITIALIZERS, Initializer, SchemeError

__all__ = ["scheme"]


def scheme(text: str | Initializer) -> Initializer:
    """Return the initializer that a text names.

    Parameters
    ----------
    text
        A name of the catalogue, with values of its parameters in parentheses; an initializer is returned as it is.

    Returns
    -------
    Initializer
        With its parameters checked.

    Raises
    ------
    CatalogueError
        If the catalogue has no such name; the message suggests near ones.
    SchemeError
        If the text cannot be read, or a parameter is unknown or has a value that makes no sense.

    Examples
    --------
    >>> str(scheme("truncated_normal(std=0.02, bound=3)"))
    'truncated_normal(std=0.02, bound=3)'
    >>> scheme("constant(0.5)").value
    0.5
    """
    if isinstance(text, Initializer):
        return text
    name, positional, named = _read(text)
    made = INITIALIZERS[name]
    signature = inspect.signature(made)
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        known = ", ".join(signature.parameters) or "none"
        raise _unreadable(text, f"parameters of {name}: {known}", str(error).removeprefix("got ")) from None
    try:
        return made(*positional, **named)
    except TypeError as error:
        raise _unreadable(text, "parameters of the types that its page says", str(error)) from None


def _read(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Return the name, the values without a name and those with one."""
    expected = 'a name, or a name with parameters: "truncated_normal(std=0.02)"'
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, AttributeError):
        raise _unreadable(text, expected) from None
    if isinstance(node, ast.Name):
        return node.id, [], {}
    if (
        not isinstance(node, ast.Call)
        or not isinstance(node.func, ast.Name)
        or any(not each.arg for each in node.keywords)
    ):
        raise _unreadable(text, expected)
    try:
        return (
            node.func.id,
            [_value(each) for each in node.args],
            {each.arg or "": _value(each.value) for each in node.keywords},
        )
    except ValueError:
        raise _unreadable(text, "parameters that are numbers or names") from None


def _value(node: ast.expr) -> Any:  # noqa: ANN401  a literal of any type
    """Return a literal; a bare word is a string, so that ``activation=relu`` needs no quotes."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


def _unreadable(text: object, expected: str, got: str = "") -> SchemeError:
    where = f"initializer {text!r}"
    return SchemeError(got or "what cannot be read", where=where, expected=expected, try_="he_normal")
