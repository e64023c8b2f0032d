"""Laws of `assert_just_right`: it fails exactly where the report says so, and says everything that the report says."""

from __future__ import annotations

import pytest

from justright.core.coverage import Coverage
from justright.core.findings import Finding, Severity
from justright.core.graph import Graph
from justright.core.profile import Profile
from justright.errors import CatalogueError, InputError
from justright.report.report import Report
from justright.testing import assert_just_right

EXAMINED = Coverage(forward=1)
LABELS = [severity.label for severity in Severity]


def finding(severity, code="JR103"):
    return Finding(code, "made-up", severity, "at fc", "got 0", "expected 1", "because it is", "try again")


@pytest.fixture
def found(monkeypatch):
    """Replace the check by one that finds what the test puts in."""
    import justright.testing.assertions

    def put(*findings, coverage=EXAMINED):
        report = Report("net", Graph((), ()), Profile(()), findings, coverage)
        monkeypatch.setattr(justright.testing.assertions, "check", lambda *_, **_options: report)
        return report

    return put


@pytest.mark.parametrize("severity", list(Severity))
@pytest.mark.parametrize("fail_on", LABELS)
def test_it_fails_from_the_severity_on(severity, fail_on, found):
    report = found(finding(severity))
    if LABELS.index(severity.label) >= LABELS.index(fail_on):
        with pytest.raises(AssertionError, match="made-up"):
            assert_just_right(None, fail_on=fail_on)
    else:
        assert assert_just_right(None, fail_on=fail_on) is report


def test_the_message_has_every_part_of_what_fails_and_nothing_else(found):
    found(finding(Severity.ERROR), finding(Severity.ERROR, "JR202"), finding(Severity.NOTE, "JR301"))
    with pytest.raises(AssertionError) as error:
        assert_just_right(None)
    said = str(error.value)
    assert all(part in said for part in ("at fc", "got 0", "expected 1", "because it is", "try again", "net"))
    assert ("JR103" in said, "JR202" in said, "JR301" in said) == (True, True, False)
    assert "2 findings" in said


@pytest.mark.parametrize("allow", [("JR103", "JR202"), ("vanishing-gradient", "JR202"), {"JR202", "JR103"}])
def test_what_is_allowed_does_not_fail(allow, found):
    report = found(finding(Severity.ERROR), finding(Severity.ERROR, "JR202"))
    assert assert_just_right(None, allow=allow) is report
    with pytest.raises(AssertionError, match="1 finding "):
        assert_just_right(None, allow="JR103")


def test_a_misspelled_permission_is_an_error(found):
    found()
    with pytest.raises(CatalogueError, match="JR103"):
        assert_just_right(None, allow=("JR1O3",))


def test_an_unknown_severity_is_an_error(found):
    found()
    with pytest.raises(InputError, match="'error', 'warning' or 'note'"):
        assert_just_right(None, fail_on="fatal")


def test_nothing_examined_fails(found):
    found(coverage=Coverage())
    with pytest.raises(AssertionError, match="no floating-point tensor was examined"):
        assert_just_right(None)


def test_the_report_is_told_before_anything_fails(found):
    report, told = found(finding(Severity.ERROR)), []
    with pytest.raises(AssertionError):
        assert_just_right(None, tell=told.append)
    assert told == [report]


def test_the_real_check_of_a_sick_and_of_a_healthy_network():
    torch = pytest.importorskip("torch")
    from justright.testing import zoo

    model, batch, loss = zoo.NETWORKS["mlp/sigmoid-20"].build(0)
    with pytest.raises(AssertionError, match="JR103 vanishing-gradient"):
        assert_just_right(model, batch, loss=loss)
    assert assert_just_right(torch.nn.Linear(8, 4), torch.eye(8), title="one layer").title == "one layer"
