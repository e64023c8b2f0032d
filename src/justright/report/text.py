"""Numbers and text from a model, made safe and short enough to print."""

from __future__ import annotations

import unicodedata
from typing import Final

__all__ = ["cells", "folded", "number", "percent", "plural", "printable", "shortened", "to_ascii"]

SYMBOLS: Final = str.maketrans(
    {"→": "->", "←": "<-", "×": "x", "≥": ">=", "≤": "<=", "≈": "~", "±": "+-", "∞": "inf", "–": "-", "—": "-"}
    | {"·": ".", "…": "...", "‘": "'", "’": "'", "“": '"', "”": '"', "√": "sqrt", "∈": "in", "−": "-", "²": "^2"}
    | {"χ": "chi", "ξ": "xi", "σ": "sigma", "μ": "mu", "φ": "phi", "ε": "eps", "λ": "lambda"}
)
"""What a terminal without Unicode shows in place of the signs that findings use."""

UNPRINTABLE: Final = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that move the cursor, reverse the text or cannot be encoded."""


def number(value: float) -> str:
    """Write a number with three significant digits.

    Examples
    --------
    >>> [number(value) for value in (0.0, 0.5781, 1234.5, 1.234e-7, float("nan"))]
    ['0', '0.578', '1234', '1.23e-07', 'nan']
    """
    if value == 0 or 1e-4 <= abs(value) < 1e3:
        return f"{value:.3g}"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else f"{value:.2e}"


def percent(share: float) -> str:
    """Write a share as a percentage with three significant digits.

    Examples
    --------
    >>> percent(0.01), percent(1 / 3), percent(2e-7)
    ('1 %', '33.3 %', '2.00e-05 %')
    """
    return f"{number(100 * share)} %"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun.

    Examples
    --------
    >>> plural(1, "gap"), plural(1200, "site")
    ('1 gap', '1,200 sites')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def printable(text: str) -> str:
    r"""Write control characters, text direction marks and lone surrogates as escapes; keep line ends.

    Examples
    --------
    >>> printable("fc\x1b[31m")
    'fc\\x1b[31m'
    """
    return "".join(
        char if char == "\n" or unicodedata.category(char) not in UNPRINTABLE else ascii(char)[1:-1] for char in text
    )


def to_ascii(text: str) -> str:
    r"""Write text with ASCII characters alone; signs without a common spelling become escapes.

    Examples
    --------
    >>> to_ascii("χ₁ → 1, é, 層")
    'chi1 -> 1, e, \\u5c64'
    """
    plain = unicodedata.normalize("NFKD", text.translate(SYMBOLS))
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    return kept.encode("ascii", "backslashreplace").decode("ascii")


def cells(text: str) -> int:
    """Count the terminal columns that a text takes.

    Examples
    --------
    >>> cells("fc"), cells("層")
    (2, 2)
    """
    return sum(_cells(char) for char in text)


def shortened(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut a text so that it takes at most `width` terminal columns, and say by an ellipsis that it was cut.

    Examples
    --------
    >>> shortened("attention", 6), shortened("attention", 9)
    ('atten…', 'attention')
    """
    if cells(text) <= width:
        return text
    kept, taken = [], cells(ellipsis)
    for char in text:
        taken += _cells(char)
        if taken > width:
            break
        kept.append(char)
    return "".join(kept) + ellipsis if width >= cells(ellipsis) else ""


def folded(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` terminal columns, at any character.

    Examples
    --------
    >>> folded("abcde", 2)
    ['ab', 'cd', 'e']
    """
    lines, taken = [""], 0
    for char in text:
        taken += _cells(char)
        if taken > width:
            lines.append("")
            taken = _cells(char)
        lines[-1] += char
    return lines


def _cells(char: str) -> int:
    return 0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
