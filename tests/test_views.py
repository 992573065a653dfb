"""The views that move: their data against scene, splits and records, and what they show in Chromium. Needs no built book."""

import json
import re
import shutil
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image
from playwright.sync_api import sync_playwright
from small import SMALL

from cpdgal import Store, Study
from cpdgal.book import query_strategies, views
from cpdgal.book.common import COMPARED

STATIC = ROOT / "book" / "_static"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def decoded(address):
    """The image behind a data address, (height, width) or (height, width, 3)."""
    return np.asarray(Image.open(BytesIO(b64decode(address.partition(",")[2]))))


def committed(name):
    """The data of a view as the book serves them."""
    return json.loads((STATIC / "views" / f"{name}.js").read_text(encoding="utf-8").partition(" = ")[2].rstrip(";\n"))


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """A small run, its scene, and the view of it."""
    folder = tmp_path_factory.mktemp("maps")
    record, scene = views.keep_maps(folder, SMALL), SMALL.load_scene()
    return record, scene, views.loop_view(record, scene, folder)


def test_the_maps_of_the_loop_give_the_accuracy_on_record(loop):
    record, scene, view = loop
    maps = decoded(view["maps"]).reshape(-1, *scene.labels.shape)
    held_out = tuple(scene.pixels[record.study.make_split(scene).holdout].T)
    reached = [100 * (each[held_out] == scene.labels[held_out]).mean() for each in maps]
    assert [cycle["OA"] for cycle in view["cycles"]] == pytest.approx(reached)
    assert view["record"] == record.study.name
    assert np.shape(view["entropy"])[0] == len(view["cycles"]) == len(maps)


def test_the_scene_s_view_is_the_scene_and_what_the_network_says_of_it(loop):
    record, scene, of_loop = loop
    view = views.scene_view(record, scene)
    assert (decoded(view["truth"]) == scene.labels).all()
    assert (decoded(view["predicted"]) == decoded(of_loop["maps"])[-scene.labels.shape[0] :]).all()
    check_spectra(view, scene)
    rows, columns = np.divmod(view["training"], scene.labels.shape[1])
    assert (np.stack([rows, columns], 1) == scene.pixels[record.labelled()]).all()


def check_spectra(view, scene):
    spectra = decoded(view["spectra"]).reshape(len(view["bands"]), *scene.labels.shape)
    shown = scene.cube[..., :: views.STEP].clip(0)
    assert round(float(shown.max())) == view["largest"]
    assert spectra / 255 == pytest.approx(np.moveaxis(shown, 2, 0) / shown.max(), abs=0.51 / 255)


def test_the_spectra_that_the_book_serves_are_the_scene_s(indian_pines):
    check_spectra(committed("scene"), indian_pines)


def test_the_loop_that_the_book_serves_is_its_record(indian_pines):
    view, record = committed("loop"), Store(ROOT / "results").get(views.LOOP)
    assert view["record"] == record.study.name
    maps = decoded(view["maps"]).reshape(-1, *indian_pines.labels.shape)
    held_out = tuple(indian_pines.pixels[record.study.make_split(indian_pines).holdout].T)
    reached = [100 * (each[held_out] == indian_pines.labels[held_out]).mean() for each in maps]
    assert reached == pytest.approx(record.cycles.OA)
    assert [cycle["OA"] for cycle in view["cycles"]] == record.cycles.OA.tolist()
    assert view["entropy"] == record.entropy.tolist()


def test_the_page_that_judges_stopping_reads_the_maps_of_the_view(tmp_path):
    name, maps = query_strategies.loop_maps()
    assert name == views.LOOP.name
    assert (maps.reshape(-1, maps.shape[2]) == decoded(committed("loop")["maps"])).all()
    name, maps = query_strategies.loop_maps(tmp_path / "loop.js")  # a wheel has none
    assert (name, len(maps)) == ("", 0)


def test_every_view_of_the_pages_has_its_data():
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.py"))
    for name in re.findall(r'data-view="(\w+)"', pages):
        file = STATIC / "views" / f"{name}.js"
        assert file.is_file(), f"{file.name} is missing: python -m cpdgal.book.views makes it"
        assert file.stat().st_size < 1_500_000


def test_the_split_s_view_is_that_of_the_splits_and_records(indian_pines):
    view, store = committed("split"), Store(ROOT / "results")
    for shown, kind in {"random pixels": "random", "blocks apart": "block"}.items():
        roles, split = decoded(view["roles"][shown]), Study(split=kind).make_split(indian_pines)
        assert (roles[tuple(indian_pines.pixels[split.pool].T)] == 1).all()
        assert (roles[tuple(indian_pines.pixels[split.holdout].T)] == 2).all()
        assert (roles > 0).sum() == len(indian_pines.pixels)
        ran = {n: {s: store.get(Study(split=kind, seed=s, **change)) for s in range(3)} for n, change in COMPARED.items()}
        seeds = {name: {s for s, record in each.items() if record} for name, each in ran.items()}
        shared = set.intersection(*filter(None, seeds.values()))
        assert len(view["methods"]) == len(COMPARED)
        assert shared
        for method in view["methods"]:
            name = method["name"]
            late = [ran[name][seed].cycles.OA.dropna()[-5:].mean() for seed in shared if seeds[name]]
            said = f"{name}, {shown}: python -m cpdgal.book.views split brings the view in step with the records"
            assert method[shown] == (pytest.approx(np.mean(late)) if late else None), said


@pytest.fixture(scope="module")
def chromium():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: the views were not looked at in a browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def shown(chromium, tmp_path):
    """Opens a view of some data on a page of its own, at a width; ends in an error when a script does."""
    faults, tabs = [], []

    def show(name, data, width=1000):
        (tmp_path / "views").mkdir(exist_ok=True)
        for file in ("views.js", "views.css"):
            shutil.copy(STATIC / file, tmp_path)
        (tmp_path / "views" / f"{name}.js").write_text(f"window.CPDGAL = {{{name}: {json.dumps(data)}}};", encoding="utf-8")
        page = tmp_path / "page.html"
        page.write_text(
            '<!doctype html><meta name="viewport" content="width=device-width"><link rel="stylesheet" href="views.css">'
            f'<div class="view" data-view="{name}">still</div><script src="views.js"></script>',
            encoding="utf-8",
        )
        tab = chromium.new_page(viewport={"width": width, "height": 900})
        tab.on("pageerror", lambda error: faults.append(str(error)))
        tab.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        tabs.append(tab)
        tab.goto(page.as_uri())
        tab.wait_for_selector(".view output:not(:empty)")
        return tab

    yield show
    for tab in tabs:
        tab.close()
    assert faults == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [1000, 390])
def test_a_pixel_under_the_pointer_shows_its_spectrum(shown, indian_pines, width):
    data = committed("scene")
    tab = shown("scene", data, width)
    row, column = 40, 30
    box = tab.locator(".maps canvas").nth(1).bounding_box()
    tab.mouse.move(box["x"] + (column + 0.5) / 145 * box["width"], box["y"] + (row + 0.5) / 145 * box["height"])
    for step in range(2):  # under the pointer, then one pixel to the right by key
        spectrum = json.loads(tab.locator(".view").get_attribute("data-spectrum"))
        assert spectrum == pytest.approx(indian_pines.cube[row, column + step, :: views.STEP], abs=1 + data["largest"] / 500)
        said = tab.locator(".view output").inner_text()
        label = indian_pines.labels[row, column + step]
        assert said.startswith(f"Row {row}, column {column + step}. Truth: {['unlabelled', *data['names']][label]}.")
        places = tab.locator(".mark").evaluate_all("marks => marks.map(mark => mark.style.left + mark.style.top)")
        assert len(places) == 3
        assert len({*places}) == 1
        tab.locator(".maps").press("ArrowRight")
    small = tab.locator(".plot text").first.bounding_box()
    assert small["height"] >= 10
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
def test_the_slider_ends_at_the_accuracy_on_record(shown, loop):
    record, _, view = loop
    tab = shown("loop", view)
    slider, said = tab.get_by_role("slider"), tab.locator(".view output")
    for key, cycle in (("Home", record.cycles.iloc[0]), ("ArrowRight", record.cycles.iloc[1]), ("End", record.final)):
        slider.press(key)
        assert said.inner_text().endswith(f"{cycle.labels:.0f} labels, overall accuracy on the hold-out {cycle.OA:.2f} %.")
    assert tab.locator(".plot .dot").count() == 1
    assert tab.locator(".plot .bar").count() == len(view["entropy"][0])
    assert tab.locator(".view canvas").evaluate("canvas => getComputedStyle(canvas).touchAction") == "auto"  # a finger scrolls


@pytest.mark.browser
@pytest.mark.parametrize("width", [1000, 390])
def test_the_toggle_moves_the_accuracies(shown, width):
    view = committed("split")
    tab = shown("split", view, width)
    before = tab.locator(".moving").first.get_attribute("cx")
    tab.get_by_role("radio", name="random pixels").press("ArrowRight")
    said = tab.locator(".view output").inner_text()
    assert said.startswith("Overall accuracy at blocks apart")
    for method in view["methods"]:
        reached = method["blocks apart"]
        assert (f"{method['name']} not run" if reached is None else f"{method['name']} {reached:.1f} %") in said
    assert tab.locator(".moving").first.get_attribute("cx") != before
    assert tab.locator(".plot text").first.bounding_box()["height"] >= 10
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
