"""Laws of the HTML report: one safe file that holds everything."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from justright.report.html import script_json
from justright.report.plots.profile import MOST_SVG_POINTS, figure, in_execution_order
from justright.report.text import printable

VOID = {"meta", "input", "br", "img", "link"}


class Page(HTMLParser):
    """Reads a page as a browser would: tags, attributes, visible text and scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.scripts, self.open = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return "".join("".join(self.texts).split())


@pytest.fixture(scope="session")
def pages(reports):
    return {name: report.to_html() for name, report in reports.items()}


@pytest.fixture(params=["page", "fragment"])
def shown(request, report, reports, pages):
    """A report as a page and as what a notebook shows."""
    name = next(name for name, each in reports.items() if each is report)
    return Page(pages[name] if request.param == "page" else report._repr_html_())


def parts_of(report):
    yield report.title
    for finding in report.findings:
        yield from (finding.code, finding.name, finding.where, finding.got)
        yield from (finding.expected, finding.because, finding.try_)
    for gap in report.coverage.gaps:
        yield from (gap.what, gap.reason, gap.where)
    yield from report.assumptions


def test_every_part_gap_and_assumption_is_shown(report, shown):
    assert [part for part in parts_of(report) if "".join(printable(part).split()) not in shown.text] == []


def test_elements_are_closed_and_nothing_from_the_model_is_one(shown):
    assert shown.open == []
    assert "img" not in shown.tags
    assert len(shown.scripts) in (0, 3)
    assert [each for each in shown.attributes if each[1].startswith("on")] == []
    assert not any("alert(" in script for script in shown.scripts[1:])


def test_nothing_is_fetched(shown):
    links = [value for _, name, value in shown.attributes if name in ("src", "href", "xlink:href", "action")]
    assert [link for link in links if not link.startswith("#")] == []
    policy = [value for tag, name, value in shown.attributes if tag == "meta" and value.startswith("default-src")]
    assert all(value.startswith("default-src 'none';") for value in policy)


def test_the_script_sends_nothing_to_a_server(pages):
    own = Page(pages["healthy"]).scripts[2]
    assert "showSendToCloud: false" in own
    assert 'plotlyServerURL: ""' in own


def test_a_notebook_gets_no_script_and_little_text(report):
    fragment = report._repr_html_()
    assert "<script" not in fragment
    assert len(fragment) < 200_000


def test_data_cannot_end_its_script_and_survives_it(hostile_names):
    text = script_json({name: name for name in hostile_names})
    assert re.search("[<>&\u2028\u2029]", text) is None
    assert json.loads(text) == {name: name for name in hostile_names}


def test_the_data_are_those_of_the_profile(report, pages, reports):
    name = next(name for name, each in reports.items() if each is report)
    data = json.loads(Page(pages[name]).scripts[0])
    records = in_execution_order(report)
    assert sorted(record.name for record in records) == sorted(record.name for record in report.profile.sites)
    assert data["sites"]["name"] == [printable(record.name) for record in records]
    assert [float(value) for value in data["sites"]["rms"]] == pytest.approx(
        [record.forward.rms for record in records], rel=1e-3, nan_ok=True
    )
    assert [data["texts"][index] for index in data["sites"]["op"]] == [record.op for record in records]


def test_every_value_is_drawn_once_and_on_its_axis(report):
    drawn = figure(report)["profile"]
    for panel, pick in (("forward rms", "forward"), ("gradient rms", "gradient")):
        traces = [trace for trace in drawn["traces"] if trace["meta"]["panel"] == panel]
        values = [
            (x, y)
            for trace in traces
            for x, y in zip(trace["x"], trace["y"], strict=True)
            if trace["meta"]["kind"] != "finding" and y is not None
        ]
        records = in_execution_order(report)
        assert sorted(x for x, _ in values) == [i for i, record in enumerate(records) if getattr(record, pick)]
        low, high = drawn["ranges"][panel == "gradient rms"]
        assert all(10**low < y < 10**high for _, y in values)


def test_zeros_lie_below_and_what_is_not_finite_above_all_other_values(reports):
    traces = {
        (trace["meta"]["panel"], trace["meta"]["kind"]): [y for y in trace["y"] if y is not None]
        for trace in figure(reports["nonfinite"])["profile"]["traces"]
    }
    others = traces["forward rms", "activation"] + traces["forward rms", "parameter"]
    assert max(traces["forward rms", "zero"]) < min(others)
    assert min(traces["forward rms", "nonfinite"]) > max(others)
    assert len(traces["forward rms", "nonfinite"]) == 26  # 13 layers, each a linear operator and a ReLU


def test_the_line_is_broken_where_a_value_is_not_finite(reports):
    (trace,) = (
        trace
        for trace in figure(reports["nonfinite"])["profile"]["traces"]
        if trace["meta"] == {"kind": "activation", "panel": "forward rms"}
    )
    assert trace["x"] == sorted(trace["x"])
    assert trace["y"][22:48] == [None] * 26


@pytest.mark.parametrize(("name", "renderer"), [("healthy", "scatter"), ("large", "scattergl")])
def test_many_points_are_drawn_by_webgl(reports, name, renderer):
    traces = figure(reports[name])["profile"]["traces"]
    assert {trace["type"] for trace in traces} == {renderer}
    assert (sum(len(trace["x"]) for trace in traces) > MOST_SVG_POINTS) == (renderer == "scattergl")


def test_five_thousand_sites_stay_under_six_megabytes(reports, pages):
    assert len(reports["large"].profile.sites) >= 5000
    assert len(pages["large"].encode()) < 6_000_000
    assert len(reports["large"].profile.sites) * 60 > len("".join(figure(reports["large"])["texts"]))


def test_a_site_of_a_finding_links_to_its_place(reports, pages):
    start, stop = (pages["vanishing"].index(f'aria-labelledby="{name}-title"') for name in ("findings", "profile"))
    page, report = Page(f"<section {pages['vanishing'][start:stop].rpartition('<section')[0]}"), reports["vanishing"]
    targets = {int(value[6:]) for _, name, value in page.attributes if name == "href" and value.startswith("#site-")}
    names = [record.name for record in in_execution_order(report)]
    assert {names[target] for target in targets} == {site for finding in report.findings for site in finding.sites}


def test_headings_descend_one_level_at_a_time_and_controls_have_labels(pages):
    page = Page(pages["vanishing"])
    levels = [int(tag[1]) for tag in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert ("label", "for", "query") in page.attributes


def test_the_file_holds_the_page(reports, pages, tmp_path):
    path = reports["hostile"].to_html(tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == pages["hostile"]
