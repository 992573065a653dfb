"""The project around the package: one address, one list of versions, a book with every page."""

import ast
import re
import shutil
import sys

import pytest
import yaml
from conftest import ROOT

sys.path.insert(0, str(ROOT / "book"))
import build

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
ADDRESS = CONFIG["repository"]["url"]
OWNER_AND_NAME = ADDRESS.removeprefix("https://github.com/")


def texts():
    kinds = ("*.md", "*.toml", "*.cff", "*.yml", "notebooks/*.py", "book/*.md", ".github/workflows/*.yml")
    return {path: path.read_text(encoding="utf-8") for kind in kinds for path in ROOT.glob(kind)}


def test_every_file_names_the_one_address():
    named = {}
    for path, text in texts().items():
        for found in re.findall(r"github(?:\.com)?/([\w.-]+/cpdgal)\b", text):
            named.setdefault(path.relative_to(ROOT).as_posix(), set()).add(found)
    assert {"pyproject.toml", "CITATION.cff", "README.md", "notebooks/01_quickstart.py", "notebooks/02_method.py"} <= set(named)
    assert set().union(*named.values()) == {OWNER_AND_NAME}


def test_every_notebook_links_to_itself_on_colab():
    branch = CONFIG["repository"]["branch"]
    for script in (ROOT / "notebooks").glob("[0-9]*.py"):
        link = f"https://colab.research.google.com/github/{OWNER_AND_NAME}/blob/{branch}/notebooks/{script.stem}.ipynb"
        assert link in script.read_text(encoding="utf-8")


def test_a_file_imports_only_from_files_above_it():
    floors = ["scenes", "windows", "splits", "model", "losses", "training", "metrics", "queries", "active", "figures"]
    assert {path.stem for path in (ROOT / "cpdgal").glob("*.py")} == {*floors, "__init__"}
    for number, name in enumerate(floors):
        tree = ast.parse((ROOT / "cpdgal" / f"{name}.py").read_text(encoding="utf-8"))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1}
        assert imported <= set(floors[:number]), name


def test_the_wheel_holds_every_file_of_the_package():
    listed = re.search(r"package-data = \{ cpdgal = \[(.+?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    kinds = {path.suffix for path in (ROOT / "cpdgal").iterdir() if path.is_file()} - {".py"}
    assert {f'"*{kind}"' for kind in kinds} == set(listed.split(", "))


def test_versions_are_listed_once():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert wanted[-1]["pip"] == ["--constraint constraints.txt", "--editable .[book,test]"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in pins
    assert all("==" in pin or pin.startswith("#") for pin in pins if pin)


def test_the_readme_s_numbers_are_those_of_the_committed_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    values = build.glued(ROOT / "notebooks" / "01_quickstart.ipynb")
    for name, followed_by in {
        "OA": " % from", "labels": " labels", "share": " % of the labelled", "random": " %, a classifier",
        "coordinates": " %, and", "blocks": " % when",
    }.items():  # fmt: skip
        assert values[f"quickstart-{name}"] + followed_by in readme, name


def test_the_table_of_contents_is_read_whole(tmp_path):
    toc = {"root": "a", "parts": [{"chapters": [{"file": "b", "sections": [{"file": "c"}]}, {"file": "d"}]}]}
    assert build.pages(toc) == ["index", "a", "b", "c", "d"]


def test_a_page_that_is_missing_fails_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HTML", tmp_path / "html")
    monkeypatch.setattr(build.subprocess, "run", lambda *args, **options: type("Finished", (), {"returncode": 0}))
    (tmp_path / "toc.yml").write_text("root: book/index\nchapters:\n- file: book/api\n")
    with pytest.raises(SystemExit, match="the book was not built: no page for index, book/index, book/api"):
        build.build(tmp_path / "toc.yml")


@pytest.fixture
def own_run():
    """A run of this machine to show: the user's own where there is one, else the committed one for the while."""
    run = build.RUNS / "01_quickstart.ipynb"
    if run.exists():
        yield
        return
    run.parent.mkdir(exist_ok=True)
    shutil.copy(ROOT / "notebooks" / run.name, run)
    yield
    run.unlink()


@pytest.mark.book
def test_the_book_builds_without_warnings_and_stands_alone(own_run):
    toc = build.contents(own_run=True)
    build.build(toc)
    listed = build.pages(yaml.safe_load(toc.read_text(encoding="utf-8")))
    pages = {page: (build.HTML / f"{page}.html").read_text(encoding="utf-8") for page in listed}
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
