"""A finding as plain text, for what is neither a terminal nor a page: a test's message, a CI server."""

from __future__ import annotations

from justright.core.findings import Finding

__all__ = ["finding_text"]


def finding_text(finding: Finding) -> str:
    """Return a finding with its parts, one a line, and the symptoms that it explains.

    Examples
    --------
    >>> from justright.core.findings import Severity
    >>> print(finding_text(Finding("JR1", "odd", Severity.NOTE, "fc", "1", "2", "so it is", "wait")))
    note JR1 odd
      where     fc
      got       1
      expected  2
      because   so it is
      try       wait
    """
    parts = [("where", finding.where), ("got", finding.got), ("expected", finding.expected)]
    parts += [("because", finding.because), ("try", finding.try_)]
    parts += [("explains", f"{each.code} {each.name}, {each.where}") for each in finding.symptoms]
    head = f"{finding.severity.label} {finding.code} {finding.name}"
    return "\n".join([head, *(f"  {label:<9} {value}" for label, value in parts)])
