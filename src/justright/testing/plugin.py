"""The pytest plugin: a fixture that checks a model inside a test.

pytest loads this module in every run of a project that has justright installed, so it imports nothing but pytest until
a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from justright.report.report import Report

__all__ = ["just_right"]


@pytest.fixture
def just_right(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[..., Report]:
    """Return `justright.testing.assert_just_right`, which here also keeps the report with the test.

    The verdict and the findings become properties of the test in pytest's JUnit file, and the report is printed if the
    test fails.

    Examples
    --------
    .. code-block:: python

        def test_model(just_right):
            just_right(make_model(), make_batch(), loss="cross_entropy", allow=("JR202",))
    """

    def keep(report: Report) -> None:
        record_property("justright.verdict", report.verdict)
        for finding in report.findings:
            said = f"{finding.severity.label} {finding.name}, {finding.where}: {finding.got}"
            record_property(f"justright.{finding.code}", said)
        request.node.add_report_section("call", f"justright {report.title}", _shown(report))

    def checked(model: Any, batch: Any = None, **options: Any) -> Report:  # noqa: ANN401
        from justright.testing.assertions import assert_just_right

        return assert_just_right(model, batch, tell=keep, **options)

    return checked


def _shown(report: Report) -> str:
    """Return the report in full, or in a line where rich, which lays it out, is not installed."""
    from justright.errors import BackendError

    try:
        return str(report)
    except BackendError:
        return repr(report)
