"""The book as a reader meets it: every page in Chromium, opened from disk at two widths, light and dark."""

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from functools import cache
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

import axe_playwright_python
import build
import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT
from playwright.sync_api import Browser, Page, sync_playwright

import cpdgal
from cpdgal.book.views import LOOP

pytestmark = pytest.mark.browser
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = {1440: 900, 390: 844}  # of a desk and of a phone, with the height of the first screen
HEAVIEST = 3_000_000  # bytes of a page and its pictures
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PAGES = [page for page in build.pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))) if page != "index"]
PAGES += ["book/this_machine", "runs/01_quickstart", "genindex"]
# What makes a page faulty, as scripts that list what they find.
SIDEWAYS = """() => document.documentElement.scrollWidth > innerWidth
    ? [`the page is ${document.documentElement.scrollWidth} wide`] : []"""
BROKEN_IMAGES = """() => [...document.images].filter(image => image.complete && !image.naturalWidth || !image.complete)
    .map(image => image.src.slice(0, 100))"""
CLIPPED = """() => [...document.querySelectorAll('div.math, mjx-container[display], .bd-article table')].filter(part => {
    const scrolls = (box) => ['auto', 'scroll'].includes(getComputedStyle(box).overflowX);
    let held = part;
    while (held && held.tagName !== 'ARTICLE' && !scrolls(held)) held = held.parentElement;
    return part.getBoundingClientRect().right > innerWidth + 1 && (!held || held.tagName === 'ARTICLE');
}).map(part => `cut: ${part.textContent.slice(0, 60)}`)"""
UNDRAWN = """() => [...document.querySelectorAll('.plotly-graph-div')].filter(plot => !plot.querySelector('.main-svg'))
    .map(plot => plot.id)"""
SHORTEN = "() => document.querySelectorAll('tbody').forEach(body => [...body.rows].slice(25).forEach(row => row.remove()))"
INACCESSIBLE = """async (only) => (await axe.run(document, {preload: false, resultTypes: ['violations'], ...only})).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => `${found.id}: ${found.nodes.length} times, such as ${found.nodes[0].html.slice(0, 120)}`)"""


@pytest.fixture(scope="module")
def browser(book_pages) -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: the book was not looked at in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report():
    """What was seen of every page; `make browser` writes it to the book, and a call for some pages what was seen of those."""
    seen: dict[str, dict] = {}
    yield seen
    if os.environ.get("CPDGAL_REPORT") and seen:
        path = ROOT / "book" / "browser.json"
        before = {page: about for page, about in json.loads(path.read_text(encoding="utf-8")).items() if page in PAGES}
        committed = {page: about for page, about in sorted({**before, **seen}.items()) if about["source"]}
        path.with_suffix(".part").write_text(json.dumps(committed, indent=1) + "\n", encoding="utf-8")
        path.with_suffix(".part").replace(path)


def visit(browser: Browser, page: str, width: int = 1440, change=None) -> tuple[Page, list[str]]:
    """A page of the book opened from disk, and a list that fills with what goes wrong; `change` is made to its HTML."""
    faults: list[str] = []
    tab = browser.new_page(viewport={"width": width, "height": WIDTHS[width]}, color_scheme="light")
    tab.on("console", lambda said: faults.append(f"console: {said.text[:200]}") if said.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(f"script: {error!s:.200}"))
    tab.on("requestfailed", lambda request: faults.append(f"not loaded: {request.url[:200]}"))
    tab.on("request", lambda request: None if local(request.url) else faults.append(f"asked another host: {request.url[:100]}"))
    file = build.HTML / f"{page}.html"
    if change:
        text = change(file.read_text(encoding="utf-8"))
        tab.route(file.as_uri(), lambda route: route.fulfill(body=text, content_type="text/html"))
    tab.goto(file.as_uri(), wait_until="load")
    return tab, faults


def local(url: str) -> bool:
    return urlsplit(url).scheme in ("file", "data", "blob", "about")


def look(tab: Page, contrast: Collection[str] = ("light", "dark")) -> list[str]:
    """What a reader would stumble over on an open page; contrast, which takes longest, in these of the two themes."""
    tab.evaluate("() => window.MathJax?.startup?.promise")
    tab.add_style_tag(content="* { transition: none !important }")  # a colour in between is none of the page's
    faults = [fault for check in (SIDEWAYS, BROKEN_IMAGES, CLIPPED, UNDRAWN) for fault in tab.evaluate(check)]
    tab.evaluate(SHORTEN)  # the rows of a long table are alike
    tab.add_script_tag(path=AXE)
    faults += tab.evaluate(INACCESSIBLE, {"rules": {"color-contrast": {"enabled": "light" in contrast}}})
    tab.emulate_media(color_scheme="dark")
    tab.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    if "dark" in contrast:
        faults += [f"dark: {fault}" for fault in tab.evaluate(INACCESSIBLE, {"runOnly": ["color-contrast"]})]
    return faults


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_fault(browser, report, page):
    about = {"source": source_digest(page), "kilobytes": weight(page) // 1000, "first paint, ms": {}, "faults": []}
    for width in WIDTHS:
        tab, faults = visit(browser, page, width)
        keep_picture(tab, page, width, "light")
        faults += look(tab, ["light"] if width == max(WIDTHS) else ["dark"])  # colours do not depend on the width
        keep_picture(tab, page, width, "dark")
        painted = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
        about["first paint, ms"][str(width)] = round(painted)
        about["faults"] += [f"{width}: {fault}" for fault in faults]
        tab.close()
    report[page] = about
    assert about["faults"] == []
    assert about["kilobytes"] * 1000 <= HEAVIEST


def keep_picture(tab: Page, page: str, width: int, theme: str) -> None:
    """The first screen of a page, for a person to look at: _build/browser/."""
    path = build.HTML.parent / "browser" / f"{page.replace('/', '-')}-{width}-{theme}.jpg"
    tab.screenshot(path=path, type="jpeg", quality=70)


def source_digest(page: str) -> str:
    """A digest of what a page is made from; "" for a page of this machine alone."""
    found = [path for ending in (".ipynb", ".md") if (path := ROOT / f"{page}{ending}").is_file()]
    committed = page.startswith(("book/", "notebooks/")) and page not in ("book/this_machine", "book/browser")
    return sha256(found[0].read_bytes()).hexdigest()[:16] if found and committed else ""


def weight(page: str) -> int:
    """The bytes of a page and of its pictures."""
    file = build.HTML / f"{page}.html"
    pictures = {image["src"] for image in parsed(page).find_all("img") if not image["src"].startswith("data:")}
    return file.stat().st_size + sum((file.parent / unquote(picture)).stat().st_size for picture in pictures)


@cache
def parsed(page: str) -> BeautifulSoup:
    return BeautifulSoup((build.HTML / f"{page}.html").read_text(encoding="utf-8"), "html.parser")


def dead_links(page: str, soup: BeautifulSoup) -> list[str]:
    """The internal links of a page that lead nowhere."""
    dead = []
    for link in soup.find_all("a", href=True):
        parts = urlsplit(unescape(link["href"]))
        if parts.scheme or parts.netloc:
            continue
        target = (build.HTML / page).parent / unquote(parts.path) if parts.path else build.HTML / f"{page}.html"
        if not target.is_file():
            dead.append(link["href"])
        elif parts.fragment and target.suffix == ".html":
            name = os.path.relpath(target, build.HTML).removesuffix(".html")
            if not parsed(name).find(id=unquote(parts.fragment)):
                dead.append(link["href"])
    return dead


@pytest.mark.parametrize("page", ["index", *PAGES])
def test_every_internal_link_lands(book_pages, page):
    assert dead_links(page, parsed(page)) == []


def test_the_report_is_of_these_pages():
    committed = json.loads((ROOT / "book" / "browser.json").read_text(encoding="utf-8"))
    changed = [page for page in PAGES if source_digest(page) and committed.get(page, {}).get("source") != source_digest(page)]
    assert changed == [], "make browser"
    assert not any(about["faults"] for about in committed.values())


PLANTED = {
    "a broken image": ("</article>", '<img src="missing.png" alt="nothing"></article>', "not loaded"),
    "a script error": ("</article>", "<script>undefinedName()</script></article>", "script: "),
    "another host": ("</article>", '<img src="https://example.org/x.png" alt="there"></article>', "another host"),
    "low contrast": ("</article>", '<p style="color: #eee; background: #fff">hard to read</p></article>', "color-contrast"),
    "a wide box": ("</article>", '<div style="width: 3000px">wide</div></article>', "wide"),
    "a picture without a text": ("</article>", '<img src="../_static/file.png"></article>', "image-alt"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(browser, fault):
    before, after, said = PLANTED[fault]
    tab, faults = visit(browser, "book/references", change=lambda html: html.replace(before, after, 1))
    faults += look(tab)
    tab.close()
    assert any(said in each for each in faults), faults


def test_a_planted_dead_link_is_found(book_pages):
    for address in ("nowhere.html", "index.html#no-such-section"):
        html = (build.HTML / "book" / "references.html").read_text(encoding="utf-8")
        changed = html.replace("</article>", f'<a href="{address}">there</a></article>')
        assert dead_links("book/references", BeautifulSoup(changed, "html.parser")) == [address]


def test_tables_sort_and_filter_by_keyboard(browser):
    tab, faults = visit(browser, "book/records")
    heads = [head.strip() for head in tab.locator(".filterable thead th").all_inner_texts()]
    column = next(number for number, head in enumerate(heads) if head.startswith("OA"))

    def shown() -> list[float]:
        return [
            float(text) for text in tab.locator(f".filterable tbody tr:visible td:nth-child({column + 1})").all_inner_texts()
        ]

    whole = shown()
    for key, order in (("Enter", sorted(whole)), ("Space", sorted(whole, reverse=True))):
        tab.locator(".filterable thead th").nth(column).locator("button").press(key)
        assert shown() == order
    tab.locator("select[name=Method]").press("v")  # the first that begins so
    chosen = tab.locator("select[name=Method]").input_value()
    assert chosen == "vit"
    expected = len([path for path in (ROOT / "results").glob("*-vit-*.json")])
    assert len(shown()) == expected
    assert tab.locator(".filters output").inner_text() == f"{expected} of {len(whole)} rows"
    tab.locator("input[name=any]").type("validation")
    assert 0 < len(shown()) < expected
    tab.close()
    assert faults == []


def test_an_address_sets_a_filter(browser):
    tab, _ = visit(browser, "book/claims")
    tab.goto(f"{(build.HTML / 'book' / 'records.html').as_uri()}?Pages=13&Scene=botswana")
    assert tab.locator("select[name=Scene]").input_value() == "botswana"
    assert tab.locator(".filterable tbody tr:visible").count() == 0  # page 13 has no runs
    tab.close()


def test_search_finds_the_paper_s_term(browser):
    tab, _ = visit(browser, "search")
    tab.goto(f"{(build.HTML / 'search.html').as_uri()}?q=contextualized+masking")
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    found = [re.sub(r"[?#].*", "", link.get_attribute("href")) for link in tab.locator("#search-results li a").all()]
    assert any(address.endswith("notebooks/02_method.html") for address in found), found
    tab.close()


def test_a_loss_surface_turns(browser):
    tab, faults = visit(browser, "notebooks/05_loss_landscape")
    plot = tab.locator(".plotly-graph-div").first
    plot.scroll_into_view_if_needed()
    camera = "plot => JSON.stringify(plot._fullLayout.scene._scene.getCamera().eye)"
    before, box = plot.evaluate(camera), plot.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 60, y + 20, steps=5)
    tab.mouse.up()
    assert plot.evaluate(camera) != before
    tab.close()
    assert faults == []


def move_to(tab: Page, canvas, row: int, column: int) -> None:
    """The pointer over the middle of a pixel of a map that is drawn as a canvas."""
    canvas.scroll_into_view_if_needed()
    box, height, width = canvas.bounding_box(), *canvas.evaluate("canvas => [canvas.height, canvas.width]")
    tab.mouse.move(box["x"] + (column + 0.5) * box["width"] / width, box["y"] + (row + 0.5) * box["height"] / height)


def drawn(browser: Browser, page: str, name: str):
    """A view that moves, once its script has drawn it: the tab, the view, the faults."""
    tab, faults = visit(browser, page)
    view = tab.locator(f".view[data-view={name}]")
    assert view.count() == 1, f"{page} has no view of the {name}"
    if not (build.HTML / "_static" / "views" / f"{name}.js").is_file():
        pytest.fail(f"the data of the view are missing: book/_static/views/{name}.js")
    view.scroll_into_view_if_needed()
    view.locator("output").wait_for()
    return tab, view, faults


def test_hovering_a_pixel_shows_its_spectrum(browser, indian_pines):
    tab, view, faults = drawn(browser, "notebooks/01_quickstart", "scene")
    truth = view.locator("canvas").nth(1)
    for row, column in indian_pines.pixels[[0, 5000, -1]].tolist():
        move_to(tab, truth, row, column)
        name = indian_pines.class_names[indian_pines.labels[row, column] - 1]
        assert view.locator("output").inner_text().startswith(f"Row {row}, column {column}. Truth: {name}. ")
        shown = json.loads(view.get_attribute("data-spectrum"))
        whole = indian_pines.cube[row, column]
        step = round(len(whole) / len(shown))
        grain = indian_pines.cube.max() / 255  # the view keeps 256 levels
        assert abs(np.array(shown) - whole[::step]).max() <= grain / 2 + 1
    tab.close()
    assert faults == []


def test_the_slider_shows_the_record(browser):
    tab, view, faults = drawn(browser, "notebooks/01_quickstart", "loop")
    record = cpdgal.Store(ROOT / "results").get(LOOP)
    slider, said = view.locator("input[type=range]"), view.locator("output")
    slider.press("Home")
    assert said.inner_text().startswith("Cycle 0:")
    slider.press("End")
    assert said.inner_text().startswith("Cycle 30:")
    assert f"{record.final.OA:.2f} %" in said.inner_text()
    view.locator("p a").click()
    tab.locator(".filterable").wait_for()
    assert tab.locator(".filterable tbody tr:visible").all_inner_texts()[0].startswith(record.study.key)
    assert tab.locator(".filterable tbody tr:visible").count() == 1
    tab.close()
    assert faults == []


def test_the_toggle_moves_the_accuracies(browser):
    tab, view, faults = drawn(browser, "notebooks/10_leakage_audit", "split")
    said = view.locator("output")
    before = said.inner_text()
    assert before.startswith("Overall accuracy at random pixels")
    view.locator("input").first.press("ArrowRight")
    assert said.inner_text().startswith("Overall accuracy at blocks apart")
    tab.close()
    assert faults == []


def follow(tab: Page, chosen: str, step: str) -> None:
    """One click on the first link that a selector finds."""
    link = tab.locator(chosen).first
    assert link.count(), f"{step}: {tab.url} has no {chosen}"
    link.click()
    tab.wait_for_load_state()


def test_a_reader_goes_from_the_finding_to_its_run(browser):
    tab, faults = visit(browser, "book/index")
    follow(tab, ".verdicts a.does-not-hold", "first screen to claims")
    assert tab.url.endswith("book/claims.html?Verdict=does%20not%20hold")
    follow(tab, "tbody tr:visible a.verdict[href*='/notebooks/']", "claim to section")
    address, section = tab.url.split("#")
    assert tab.locator(f"[id='{section}']").is_visible()
    made = tab.locator("details.made").first
    assert tab.locator("article img").count(), f"{address} has no figure"
    assert made.count(), f"section to record: {address} has no fold of how a figure was made"
    badge = tab.locator("a[href^='https://colab.research.google.com/']").first
    assert badge.count(), f"rerun: {address} has no badge"
    made.locator("summary").click()
    assert made.locator("a[href*='/notebooks/'][href*='#L']").count(), f"figure to code: {address}"
    follow(tab, "details.made a[href*='records.html']", "figure to records")
    row = tab.locator(".filterable tbody tr:visible").first
    assert row.locator("a[href$='.json']").count(), "records to the record as JSON"
    assert row.locator("a[href*='/tree/']").count(), "record to the code of its commit"
    tab.close()
    assert faults == []
