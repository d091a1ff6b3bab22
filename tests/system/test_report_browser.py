"""The report in a real browser: no errors, no requests, legible on a phone, in the dark and on paper."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

pytestmark = pytest.mark.system

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    executable = shutil.which("chromium")
    if executable is None:
        pytest.fail("the browser tests need Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """The report of the made-up study of tests/host/report."""
    from hytnas_host.report import build_report  # here: whoever collects tests need not wait for it

    source = Path(__file__).parents[1] / "host" / "report" / "synthetic.py"
    specification = importlib.util.spec_from_file_location("browser_synthetic", source)
    assert specification is not None
    assert specification.loader is not None
    synthetic = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(synthetic)
    page = tmp_path_factory.mktemp("report") / "report.html"
    page.write_text(build_report(synthetic.full_report()), encoding="utf-8")
    return page


@pytest.fixture
def visit(browser, report):
    """Open the report; at the end nothing may have gone wrong in it."""
    contexts, complaints, requests = [], [], []

    def open_page(viewport=DESKTOP, **options) -> Page:
        context = browser.new_context(viewport=viewport, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()] * len(contexts)


@pytest.fixture
def screenshots(tmp_path) -> Path:
    folder = Path(os.environ.get("HYTNAS_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def shown_figures(page: Page) -> dict[str, tuple[float, float]]:
    """Width and height of every figure that is displayed."""
    return page.eval_on_selector_all(
        "svg.plot",
        "all => Object.fromEntries(all.filter(svg => getComputedStyle(svg).display !== 'none')"
        ".map(svg => { const box = svg.getBoundingClientRect(); "
        "return [svg.dataset.figure, [box.width, box.height]] }))",
    )


def smallest_text(page: Page) -> float:
    """Height in pixels of the smallest text shown in a figure."""
    return page.eval_on_selector_all(
        "svg.plot text",
        "all => Math.min(...all.filter(text => text.getClientRects().length && text.getBBox().width)"
        ".map(text => parseFloat(getComputedStyle(text).fontSize) * Math.abs(text.getScreenCTM().a || "
        "text.getScreenCTM().b)))",
    )


@pytest.mark.parametrize(
    ("name", "viewport", "scheme"),
    [
        ("light", DESKTOP, "light"),
        ("dark", DESKTOP, "dark"),
        ("phone", PHONE, "light"),
        ("phone-dark", PHONE, "dark"),
    ],
)
def test_it_renders(visit, screenshots, name, viewport, scheme):
    page = visit(viewport, color_scheme=scheme)
    figures = shown_figures(page)
    assert len(figures) == 15
    assert all(width > 200 and height > 100 for width, height in figures.values())
    assert all(key.endswith("-narrow") == (viewport is PHONE) for key in figures)
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0
    assert smallest_text(page) >= 9.5
    picture = screenshots / f"report-{name}.png"
    page.screenshot(path=picture, full_page=True)
    assert picture.stat().st_size > 50_000


def test_no_text_of_a_figure_is_cut_off(visit):
    page = visit()
    outside = page.eval_on_selector_all(
        "svg.plot text",
        "all => all.filter(text => text.getClientRects().length).filter(text => { "
        "const inner = text.getBoundingClientRect(), outer = text.closest('.panel').getBoundingClientRect(); "
        "return inner.left < outer.left || inner.right > outer.right || inner.top < outer.top "
        "|| inner.bottom > outer.bottom }).map(text => text.textContent)",
    )
    assert outside == []


def test_dark_mode_changes_figures_too(visit):
    colour = "() => getComputedStyle(document.querySelector('svg.plot text')).fill"
    ground = "() => getComputedStyle(document.querySelector('.panel')).backgroundColor"
    light, dark = visit(color_scheme="light"), visit(color_scheme="dark")
    assert light.evaluate(colour) != dark.evaluate(colour)
    assert light.evaluate(ground) == "rgb(255, 255, 255)"
    assert dark.evaluate(ground) != "rgb(255, 255, 255)"


@pytest.mark.parametrize("series", ["front", "evaluated"])
def test_pointing_at_a_dot_shows_what_it_is(visit, screenshots, series):
    page = visit()
    tooltip = page.locator("#tooltip")
    assert tooltip.is_hidden()
    group = page.locator(f'svg[data-figure="front"] [data-s="{series}"]')
    group.scroll_into_view_if_needed()
    box = group.locator("[data-p]").nth(4).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2)
    assert tooltip.is_visible()
    words = tooltip.inner_text()
    assert "Predicted latency" in words
    assert "hyt-" in words
    assert "stage1" in words
    assert ("Measured afresh" in words) == (series == "front")
    place, view = tooltip.bounding_box(), page.viewport_size
    assert place["x"] >= 0
    assert place["x"] + place["width"] <= view["width"]
    page.screenshot(path=screenshots / f"report-tooltip-{series}.png")
    page.mouse.move(5, 5)
    assert tooltip.is_hidden()


def test_the_front_can_be_walked_by_keyboard(visit):
    page = visit()
    first = page.locator('svg[data-figure="front"] [data-s="front"] [data-p="0"]')
    first.focus()
    tooltip = page.locator("#tooltip")
    before = tooltip.inner_text()
    assert "Predicted accuracy" in before
    assert "Predicted accuracy" in first.get_attribute("aria-label")
    page.keyboard.press("Tab")
    assert tooltip.inner_text() not in ("", before)
    page.keyboard.press("Escape")
    assert tooltip.is_hidden()


def test_it_prints_light_and_whole(visit, screenshots):
    page = visit(color_scheme="dark")
    paper = screenshots / "report.pdf"
    page.pdf(path=paper, format="A4", print_background=True)
    assert paper.read_bytes()[:5] == b"%PDF-"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert all(width > 100 for width, _ in shown_figures(page).values())
