"""For the tests of users: one line that fails where a model would not train as it stands."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from justright.checking import check
from justright.core.findings import Severity
from justright.diagnostics.base import DIAGNOSTICS
from justright.errors import InputError
from justright.report.plain import finding_text
from justright.report.report import Report
from justright.report.text import plural
from justright.report.verdict import NOT_CHECKED, sentence

__all__ = ["assert_just_right"]


def assert_just_right(
    model: Any,  # noqa: ANN401
    batch: Any = None,  # noqa: ANN401
    *,
    loss: Any = None,  # noqa: ANN401
    fail_on: str | Severity = "error",
    allow: Collection[str] = (),
    tell: Callable[[Report], None] = lambda _: None,
    **options: Any,  # noqa: ANN401
) -> Report:
    """Check a model, and fail if something is found or nothing was examined.

    Parameters
    ----------
    model, batch, loss
        As `justright.check` takes them.
    fail_on
        Severity from which a finding fails: ``"error"``, ``"warning"`` or ``"note"``.
    allow
        Codes or names of diagnostics whose findings do not fail: ``("JR103", "dead-units")``.
    tell
        Told of the report before anything fails, for whoever keeps it.
    options
        Further arguments of `justright.check`: ``device``, ``batches``, ``title`` …

    Returns
    -------
    Report
        What was found, for further assertions.

    Raises
    ------
    AssertionError
        With every finding that fails: where, what was found, what was expected, why, and what to try.
    JustRightError
        If the model cannot be checked, `fail_on` is no severity, or `allow` names no diagnostic.

    Examples
    --------
    >>> import torch
    >>> from justright.testing import assert_just_right
    >>> report = assert_just_right(torch.nn.Linear(8, 4), torch.randn(32, 8))
    >>> report.verdict
    'healthy'
    """
    least, allowed = _severity(fail_on), _codes(allow)
    report = check(model, batch, loss=loss, **options)
    tell(report)
    said = _complaint(report, least, allowed)
    if said:
        raise AssertionError(said)
    return report


def _complaint(report: Report, fail_on: Severity, allow: Collection[str]) -> str:
    """Say what is wrong; nothing if nothing is."""
    title = report.title or "the model"
    if report.verdict == NOT_CHECKED:
        return f"{title}: {sentence(report)}"
    failing = [each for each in report.findings if each.severity >= fail_on and each.code not in allow]
    if not failing:
        return ""
    head = f"{title} is not just right: {plural(len(failing), 'finding')} at {fail_on.label} or above"
    return "\n\n".join([head, *map(finding_text, failing)])


def _severity(name: str | Severity) -> Severity:
    if isinstance(name, Severity):
        return name
    labels = {each.label: each for each in Severity}
    if name not in labels:
        raise InputError(repr(name), where="fail_on", expected="'error', 'warning' or 'note'", try_="fail_on='warning'")
    return labels[name]


def _codes(allow: Collection[str]) -> set[str]:
    """Return the codes of what is allowed; a misspelled one is an error, because it would allow nothing."""
    names = {entry.name: entry.code for entry in DIAGNOSTICS.values()}
    given = [allow] if isinstance(allow, str) else allow
    return {DIAGNOSTICS[names.get(each, each)].code for each in given}
