"""Laws of the page in a browser: whatever is clicked, typed or scrolled shows what the report says, and asks nobody."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from justright.report.comparison import compare
from justright.report.plots.profile import in_execution_order
from justright.report.text import printable

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, and the tests download none"),
]


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev, to drive the browser")
    with api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def files(reports, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    comparison = compare(reports["healthy"], reports["healthy"])
    made = {name: report.to_html(folder / f"{name}.html") for name, report in reports.items()}
    return made | {"comparison": comparison.to_html(folder / "comparison.html")}


@pytest.fixture
def opened(browser, files):
    """Open a page; at the end it must have asked nobody for anything and have reported no error."""

    @contextmanager
    def opening(name, fragment="", **options) -> Iterator[object]:
        wrong = []
        page = browser.new_page(viewport={"width": 1200, "height": 900}, **options)
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("request", lambda asked: wrong.append(asked.url) if not asked.url.startswith(OWN) else None)
        page.goto(files[name].as_uri() + fragment)
        if name != "empty":
            page.wait_for_selector("#profile .xy, #profile canvas", state="attached")
        yield page
        page.wait_for_timeout(50)
        page.close()
        assert wrong == []

    return opening


OWN = ("file:", "data:", "blob:")


def names_in_table(page):
    return page.locator("#sites td.name").all_inner_texts()


@pytest.mark.parametrize("name", ["vanishing", "nonfinite", "hostile", "large", "empty", "comparison"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_opens_without_an_error_or_a_request(opened, name, scheme):
    with opened(name, color_scheme=scheme) as page:
        assert page.locator("h1").count() == 1
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
        assert dark == (scheme == "dark")


def test_typing_filters_the_table_and_says_how_many_are_left(opened, reports):
    records = in_execution_order(reports["vanishing"])
    with opened("vanishing") as page:
        for words in ("blocks.5.", "RELU", "JR204", "no such site"):
            page.fill("#query", words)
            found = [
                record.name
                for record in records
                if words.lower() in f"{record.name}\n{record.op}\n{record.module}".lower()
                or any(words == each.code and record.name in each.sites for each in reports["vanishing"].findings)
            ]
            told = page.inner_text("#shown")
            assert told == (f"{len(found)} of {len(records)} sites" if found else "no sites")
            assert names_in_table(page) == found[: len(names_in_table(page))]


def test_the_heads_sort_down_up_and_back(opened, reports):
    records = in_execution_order(reports["nonfinite"])
    with opened("nonfinite") as page:
        head = page.locator("#sites th", has=page.get_by_role("button", name="rms", exact=True))
        for state in ("descending", "ascending", "none"):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == state
            shown = names_in_table(page)
            rms = {record.name: record.forward.rms for record in records}
            numbers = [rms[name] for name in shown]
            if state == "descending":
                assert math.isnan(numbers[0])  # what is no number needs attention first
                assert [value for value in numbers if not math.isnan(value)][:2] == [math.inf, math.inf]
            elif state == "ascending":
                assert numbers == sorted(numbers)
            else:
                assert shown == [record.name for record in records[: len(shown)]]


def test_five_thousand_rows_scroll_to_the_last_and_few_exist_at_a_time(opened, reports):
    records = in_execution_order(reports["large"])
    with opened("large") as page:
        assert page.get_attribute("#sites", "aria-rowcount") == str(len(records) + 1)
        page.evaluate("document.querySelector('.scroller').scrollTop = 1e9")
        page.wait_for_selector(f"#row-{len(records) - 1}")
        assert names_in_table(page)[-1] == records[-1].name
        assert page.locator("#sites tbody tr").count() < 100
        last = page.locator(f"#row-{len(records) - 1}")
        assert last.get_attribute("aria-rowindex") == str(len(records) + 1)
        assert last.bounding_box()["y"] + 5 < sum(
            page.locator(".scroller").bounding_box()[key] for key in ("y", "height")
        )


def test_a_finding_leads_to_its_row_and_the_row_back(opened, reports):
    records = in_execution_order(reports["vanishing"])
    place = next(index for index, record in enumerate(records) if record.name == "blocks.5.mlp/relu")
    with opened("vanishing") as page:
        page.fill("#query", "blocks.1.")  # a search that hides the row must give way
        page.locator(".card a", has_text="blocks.5.mlp/relu").click()
        row = page.locator("#sites tr.selected")
        assert row.get_attribute("id") == f"row-{place}"
        assert row.locator("td.name").inner_text() == "blocks.5.mlp/relu"
        assert page.evaluate("document.activeElement.closest('tr').id") == f"row-{place}"
        row.get_by_role("link", name="JR204").click()
        target = page.locator(":target")
        assert "dead-units" in target.inner_text()
        page.go_back()
        page.go_back()
        assert "#site-" not in page.url


def test_the_module_tree_unfolds_and_folds(opened, reports):
    modules = {node.module for node in reports["vanishing"].graph.nodes if node.module}
    prefixes = {".".join(module.split(".")[: stop + 1]) for module in modules for stop in range(module.count(".") + 1)}
    with opened("vanishing") as page:
        page.click("#unfold")
        assert page.locator("#modules details").count() == len(prefixes) + 1
        assert page.locator("#modules details[open]").count() == len(prefixes) + 1
        fifth = page.locator("#modules summary", has_text="5").filter(has=page.locator("code", has_text="5")).first
        assert "error" in page.locator("#modules > details > summary").inner_text()
        assert "rms" in fifth.inner_text()
        page.click("#fold")
        assert page.locator("#modules details[open]").count() == 1
        summary = page.locator("#modules details details > summary").first
        summary.focus()
        page.keyboard.press("Enter")
        assert page.locator("#modules details[open]").count() == 2
        page.locator("#modules a", has_text="sites in the table").nth(1).click()
        assert page.input_value("#query") == "blocks"


def test_the_theme_is_chosen_and_remembered(opened):
    background = "getComputedStyle(document.body).backgroundColor"
    with opened("vanishing", color_scheme="light") as page:
        light = page.evaluate(background)
        line = "document.querySelector('#profile .xtick text').style.fill"
        before = page.evaluate(line)
        page.click("#theme")
        page.wait_for_function(f"{line} !== {before!r}")  # the chart follows
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        assert page.evaluate(background) != light
        page.reload()
        assert page.get_attribute("#theme", "aria-pressed") == "true"
        assert page.evaluate(background) != light


PAINTED = """() => {
  const canvas = document.querySelector('#heatmap canvas');
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let [count, sum] = [0, 0];
  for (let at = 3; at < pixels.length; at += 4) if (pixels[at]) { count += 1; sum += at; }
  return [count, sum / Math.max(count, 1)];
}"""


def test_the_heat_map_shows_signals_or_gradients(opened):
    with opened("vanishing") as page:
        signals, gradients = page.evaluate(PAINTED), None
        page.get_by_label("gradients").check()
        gradients = page.evaluate(PAINTED)
        assert min(signals[0], gradients[0]) > 1000
        assert gradients[1] > 1.02 * signals[1]  # gradients are the smaller, so that they lie further down
        assert page.locator("#heatmap svg").get_by_text("fp16 overflows").count() == 1
        assert page.locator("#heatmap svg").get_by_text("fp8 e4m3 to zero").count() == 1


def test_the_heat_map_is_read_with_the_keyboard(opened, reports):
    records = in_execution_order(reports["vanishing"])
    with opened("vanishing") as page:
        heat = page.locator("#heatmap")
        heat.focus()
        for key, place in (("ArrowRight", 1), ("End", len(records) - 1), ("ArrowLeft", len(records) - 2), ("Home", 0)):
            page.keyboard.press(key)
            assert heat.get_attribute("aria-valuenow") == str(place)
            assert records[place].name in heat.get_attribute("aria-valuetext")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_selector("#row-1.selected")
        exponent = math.frexp(3 * records[1].forward.rms)[1]
        assert f"to 2{str(exponent).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}" in heat.get_attribute(
            "aria-valuetext"
        )


def test_zooming_the_profile_zooms_the_heat_map(opened):
    ticks = "[...document.querySelectorAll('#heatmap svg text.small')].map((each) => each.textContent)"
    with opened("vanishing") as page:
        page.evaluate("Plotly.relayout('profile', {'xaxis.range': [39.6, 59.4]})")
        page.wait_for_function(f"{ticks}.includes('40') && {ticks}.includes('59')")


def test_the_keyboard_alone_leads_from_the_start_to_a_site_and_back(opened):
    with opened("vanishing") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        for _ in range(3):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('.card a')"):
                break
        page.keyboard.press("Enter")
        page.wait_for_selector("#sites tr.selected")
        assert page.evaluate("document.activeElement.closest('tr').className") == "selected"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent").startswith("JR")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        assert "#finding-" in page.url


def test_hover_texts_are_text_whatever_the_names(opened, reports):
    records = in_execution_order(reports["hostile"])
    place = next(index for index, record in enumerate(records) if "<br>" in record.name and record.op)
    with opened("hostile", f"#site-{place}") as page:
        hover = page.locator("#profile g.hovertext")
        hover.wait_for(state="attached")
        tags = set(hover.evaluate("(node) => [...node.querySelectorAll('*')].map((each) => each.tagName)"))
        assert tags <= {"g", "path", "text", "tspan"}
        shown = "".join(hover.evaluate("(node) => node.textContent").split())
        for part in (records[place].name, records[place].source):
            assert "".join(printable(part).split()) in shown
        page.click("#unfold")
        assert page.locator("img").count() == 0


def test_every_control_has_a_name_and_no_id_is_there_twice(opened):
    unnamed = """[...document.querySelectorAll('button, input, [role=slider], [role=region], [role=img], a')]
      .filter((each) => !each.computedName && !(each.textContent || each.ariaLabel || each.labels?.length
        || each.getAttribute('aria-labelledby'))).map((each) => each.outerHTML)"""
    with opened("vanishing") as page:
        assert page.evaluate(unnamed) == []
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
        assert len(ids) == len(set(ids))


def test_a_comparison_sorts_by_change_and_finds_a_site(opened, reports, files, tmp_path):
    before = reports["vanishing"]
    changed = before.profile.sites[20]
    sites = [
        replace(record, forward=replace(record.forward, rms=record.forward.rms * 100)) if record is changed else record
        for record in before.profile.sites
    ]
    after = replace(before, profile=replace(before.profile, sites=tuple(sites)))
    files["changed"] = compare(before, after).to_html(tmp_path / "changed.html")
    with opened("changed", "#site-7") as page:
        page.wait_for_selector("#row-7.selected")
        page.get_by_role("button", name="change", exact=True).click()
        first = page.locator("#sites tbody tr:not(.spacer)").first
        assert first.locator("td").nth(1).inner_text() == changed.name
        assert first.locator("td").nth(4).inner_text() == "×100"
        page.fill("#query", "blocks.7.")
        assert all("blocks.7." in name for name in names_in_table(page))
