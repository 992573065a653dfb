"""The project around the package: one address, one list of versions, a book with every page."""

import base64
import re
import subprocess
import sys
from types import ModuleType

import pytest
import yaml
from conftest import ROOT

import cpdgal
from cpdgal import book

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


def test_every_page_is_in_the_contents_and_its_runs_in_the_sweep():
    contents = build.pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    scripts = {path.stem for path in (ROOT / "notebooks").glob("*.py")} - {"execute"}
    assert scripts == {page.removeprefix("notebooks/") for page in contents if page.startswith("notebooks/")}
    backends = (ROOT / "cpdgal" / "book").glob("*.py")
    assert {path.stem for path in backends if re.search("^STUDIES", path.read_text(encoding="utf-8"), re.M)} == set(book.PAGES)


def test_import_shows_what_a_user_needs_and_nothing_else():
    shown = {name for name, value in vars(cpdgal).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    assert shown == set(cpdgal.__all__)
    fixed = "CPDGAL DGFR ContextualMasking RecordError Scene SceneError Store Study Windows build cw_mse load_scene margin run"
    assert shown >= set(fixed.split())


def test_the_command_line_does_not_load_what_only_pages_need():
    script = "import sys; from typer.testing import CliRunner; import cpdgal.cli\n"
    script += "assert CliRunner().invoke(cpdgal.cli.app, ['records']).exit_code == 0\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "cpdgal.plots" in done.stdout.split()
    assert not {"cpdgal.book", "seaborn", "plotly", "pyhessian"} & set(done.stdout.split())


def test_the_wheel_holds_every_file_of_the_package():
    packages = re.search(r"packages = \[(.+?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "cpdgal").rglob("*.py")}
    assert {f'"{name}"' for name in (*folders, "cpdgal.results")} == set(packages.split(", "))
    listed = re.search(r"package-data = \{ cpdgal = \[(.+?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    kinds = {path.suffix for path in (ROOT / "cpdgal").iterdir() if path.is_file()} - {".py"}
    assert {f'"*{kind}"' for kind in kinds} == set(listed.split(", "))


def test_versions_are_listed_once():
    wanted = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert wanted[-1]["pip"] == ["--constraint constraints.txt", "--editable .[book,test]"]
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert "torch==2.13.0" in pins
    assert all("==" in pin or pin.startswith("#") for pin in pins if pin)


def test_the_hooks_take_the_pinned_versions():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    (ruff,) = (each["rev"] for each in repos if each["repo"].endswith("/ruff-pre-commit"))
    (pairs,) = (hook for each in repos if each["repo"] == "local" for hook in each["hooks"])
    assert f"ruff=={ruff.removeprefix('v')}" in pins
    assert set(pairs["additional_dependencies"]) <= set(pins)


def test_the_readme_s_numbers_are_those_of_the_committed_run():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    values = build.glued(ROOT / "notebooks" / "01_quickstart.ipynb")
    for name, followed_by in {
        "OA": " % from",
        "labels": " labels",
        "share": " % of the labelled",
        "random": " %, a classifier",
        "coordinates": " %, and",
        "blocks": " % when",
    }.items():
        assert values[f"quickstart-{name}"] + followed_by in readme, name
    values = build.glued(ROOT / "notebooks" / "03_comparison.ipynb")
    text = " ".join(readme.split())
    for sentence in (
        "seeds on record so far: {comparison-seeds}",
        "an overall accuracy of {comparison-OA} % on Indian Pines",
        "the paper's modules {comparison-vit} %",
        "row and column reaches {place-indian_pines-spread} %",
        "held out CPDGAL has {comparison-blocks} % ({comparison-blocks-seeds})",
        "row and column alone, on the same blocks, {comparison-blocks-place} %",
    ):
        assert sentence.format_map(values) in text


def test_the_picture_of_the_readme_is_that_of_the_committed_page():
    stored = build.records(ROOT / "notebooks" / "03_comparison.ipynb")["comparison-glance"]["image/png"]
    assert (ROOT / "book" / "glance.png").read_bytes() == base64.b64decode(stored)
    assert "](book/glance.png)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_table_and_figure_of_the_paper_has_its_place():
    places = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))["places"]
    assert set(places) == {*(f"table-{n}" for n in range(1, 7)), *(f"figure-{n}" for n in range(1, 8))}
    for anchor, page in places.items():
        assert f"# ({anchor})=" in (ROOT / "notebooks" / f"{page}.py").read_text(encoding="utf-8").splitlines(), anchor


def test_the_table_of_contents_is_read_whole(tmp_path):
    toc = {"root": "a", "parts": [{"chapters": [{"file": "b", "sections": [{"file": "c"}]}, {"file": "d"}]}]}
    assert build.pages(toc) == ["index", "a", "b", "c", "d"]


def test_a_page_that_is_missing_fails_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HTML", tmp_path / "html")
    monkeypatch.setattr(build.subprocess, "run", lambda *args, **options: type("Finished", (), {"returncode": 0}))
    (tmp_path / "toc.yml").write_text("root: book/index\nchapters:\n- file: book/api\n")
    with pytest.raises(SystemExit, match="the book was not built: no page for index, book/index, book/api"):
        build.build(tmp_path / "toc.yml")


@pytest.mark.parametrize(
    "path",
    sorted({*(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")} - {ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"}),
    ids=lambda path: path.stem,
)
def test_an_issue_template_can_be_read(path):
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    assert all(each["attributes"]["label"] for each in form["body"])
