"""The built book: whole, alone, and without a number that no record stands behind."""

import json
import re
import shutil
import sys
from itertools import combinations

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT
from scipy import stats
from scipy.spatial.distance import cdist

import cpdgal
from cpdgal.metrics import PUBLISHED

sys.path.insert(0, str(ROOT / "book"))
import build

pytestmark = pytest.mark.book
SCORES = ("OA", "AA", "kappa")
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+\.\d+(?![\w.]*\d)")


@pytest.fixture(scope="module")
def pages():
    """The book with this machine's part, by page: the user's own run where there is one, else the committed for the while."""
    run = build.RUNS / "01_quickstart.ipynb"
    own = run.exists()
    if not own:
        run.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "notebooks" / run.name, run)
    toc = build.contents(own_run=True)
    build.build(toc)
    if not own:
        run.unlink()
    listed = build.pages(yaml.safe_load(toc.read_text(encoding="utf-8")))
    return {page: (build.HTML / f"{page}.html").read_text(encoding="utf-8") for page in listed}


@pytest.fixture(scope="module")
def records():
    """What the committed files hold, read without the package."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "results").glob("*.json")}


def test_it_builds_without_warnings_and_stands_alone(pages):
    assert {"index", "book/index", "notebooks/02_method", "book/api", "book/this_machine", "runs/01_quickstart"} < set(pages)
    assert (build.HTML / "searchindex.js").is_file()
    for page, html in pages.items():
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"([^\"]+)\"", html)
        assert not [address for address in loaded if address.startswith(("http:", "https:", "//"))], page
        for address in loaded:
            file = address.split("?")[0].split("#")[0]
            if file and not address.startswith("data:"):
                assert ((build.HTML / page).parent / file).exists(), f"{page} loads {address}, which is not there"
        assert "Traceback" not in html
        assert "{glue}" not in html
        for image in re.findall(r"<img\b[^>]*>", html):
            assert re.search(r'alt="[^"]{3,}"', image), f"{page}: no alt text in {image[:200]}"


def shown(html: str) -> str:
    """The text of a page without its code."""
    article = BeautifulSoup(html, "html.parser").find("article")
    for code in article.select("div.cell_input, script, style, svg, code"):
        code.decompose()
    return article.get_text(" ").replace("−", "-")


def unexplained(html: str, allowed) -> list[str]:
    """The decimal numbers of a page that are none of the allowed values, rounded as they are shown."""
    allowed = np.array([value for value in allowed if value is not None and np.isfinite(value)])
    left = []
    for token in NUMBER.findall(shown(html)):
        half = 0.5 * 10.0 ** -len(token.split(".")[1]) + 1e-9
        if not (np.abs(allowed - float(token)) <= half).any():
            left.append(token)
    return left


def final(record: dict, score: str) -> float:
    return record["cycles"][score][-1]


def grouped(records: dict, **values) -> dict[tuple, dict[int, dict]]:
    """Records that differ in their seed alone: by scene, method, split, query and gap, and then by seed."""
    groups = {}
    for record in records.values():
        study = record["study"]
        if all(study[name] == value for name, value in values.items()):
            key = tuple(study[name] for name in ("scene", "method", "split", "query", "gap"))
            groups.setdefault(key, {})[study["seed"]] = record
    return groups


def of_groups(groups) -> list[float]:
    """Means, deviations and shares of every group, and the paired comparisons between any two."""
    values = []
    for runs in groups.values():
        for score in SCORES:
            ends = [final(record, score) for record in runs.values()]
            values += [np.mean(ends), np.std(ends, ddof=1) if len(ends) > 1 else None]
        values.append(next(iter(runs.values()))["cycles"]["share"][-1])
    for left, right in combinations(groups.values(), 2):
        seeds = sorted(set(left) & set(right))
        differences = np.array([final(left[seed], "OA") - final(right[seed], "OA") for seed in seeds])
        values += [*differences, *-differences]
        if len(seeds) > 2:
            test = stats.ttest_1samp(differences, 0)
            interval = np.array(test.confidence_interval())
            values += [differences.mean(), -differences.mean(), *interval, *-interval, test.pvalue]
    return values


def of_the_paper(groups) -> list[float]:
    """The paper's figures, and how far ours are from them."""
    values = [value for scene in PUBLISHED.values() for value in scene.values()]
    for score, published in PUBLISHED["indian_pines"].items():
        runs = groups.get(("indian_pines", "cpdgal", "random", "margin", None), {})
        if runs:
            values.append(abs(np.mean([final(record, score) for record in runs.values()]) - published))
    return [*values, 4.7]


def test_a_number_that_no_record_holds_is_found():
    html = "<article><p>97.12 ± 0.30 % and 98.76 %</p><div class='cell_input'>1.23</div></article>"
    assert unexplained(html, [97.1249, 0.3]) == ["98.76"]


def test_the_comparison_shows_the_records(pages, records):
    groups = grouped(records, profile="paper")
    assert groups
    page = pages["notebooks/03_comparison"]
    assert unexplained(page, of_groups(groups) + of_the_paper(groups)) == []
    for score in SCORES:
        runs = groups.get(("indian_pines", "cpdgal", "random", "margin", None), {})
        ends = [final(record, score) for record in runs.values()]
        if ends:
            assert f"{np.mean(ends):.2f}" in shown(page)


def test_the_audit_shows_the_records(pages, records, indian_pines):
    groups = grouped(records, profile="paper", scene="indian_pines")
    values = of_groups(groups)
    for runs in groups.values():
        touched = []
        for record in runs.values():
            study = cpdgal.Study.from_form(record["study"])
            judged = indian_pines.pixels[study.make_split(indian_pines).holdout]
            labelled = np.stack([record["queried"]["row"], record["queried"]["column"]], axis=1)
            nearest = cdist(judged, labelled, "chebyshev").min(1)
            touched.append([100 * (nearest <= 3).mean(), 100 * (nearest <= 6).mean()])
        values += list(np.mean(touched, axis=0))
    assert unexplained(pages["notebooks/10_leakage_audit"], values) == []


def test_the_open_decisions_show_the_records(pages, records):
    ends, values = {}, [0.05]
    for record in records.values():
        study = cpdgal.Study.from_form(record["study"])
        if study.split == "validation":
            changed = {name: value for name, value in study.changes.items() if name not in ("acquired", "cycles", "epochs")}
            ends.setdefault(json.dumps(changed), {})[study.seed] = final(record, "OA")
    default = ends.pop("{}", {})
    values += [np.mean(list(default.values()))] if default else []
    for runs in ends.values():
        changes = [value - default[seed] for seed, value in runs.items() if seed in default]
        values += [*changes, np.mean(changes), stats.ttest_1samp(changes, 0).pvalue if len(changes) > 2 else None]
    assert unexplained(pages["notebooks/12_open_decisions"], values) == []


def test_the_start_page_shows_the_records(pages, records):
    groups = grouped(records, profile="paper")
    claims = [0.09, 5.17]  # the paper's size
    method = [float(value) for value in build.glued(ROOT / "notebooks" / "02_method.ipynb").values() if NUMBER.fullmatch(value)]
    assert unexplained(pages["book/index"], of_groups(groups) + of_the_paper(groups) + claims + method) == []


def test_every_record_has_its_row(pages, records):
    page = BeautifulSoup(pages["book/records"], "html.parser")
    rows = {row.td.get_text().strip(): [cell.get_text() for cell in row.find_all("td")] for row in page.select("tbody tr")}
    assert set(rows) == set(records)
    for name, record in records.items():
        assert rows[name][1:5] == [str(record["cycles"]["labels"][-1]), *(f"{final(record, score):.2f}" for score in SCORES)]
