"""The way out of Jupyter Book 1: the same table of contents and pages build with Sphinx and its extensions alone."""

import subprocess
import sys

import build
import pytest
import yaml
from conftest import ROOT

CONFIGURATION = """
import sys
sys.path.insert(0, {book!r})
project = {title!r}
extensions = ["sphinx_external_toc", "myst_nb", "sphinx_book_theme", "sphinx_design", "sphinxcontrib.bibtex"]
extensions += ["sphinx_togglebutton"]
extensions += {extensions!r}
external_toc_path, include_patterns = {toc!r}, {pages!r}
html_theme = "sphinx_book_theme"
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath", "linkify", "substitution", "tasklist"]
bibtex_bibfiles = {bibliography!r}
html_static_path = [{static!r}]
suppress_warnings = ["etoc.toctree", "config.cache"]
globals().update({values!r})
"""


@pytest.mark.slow
def test_the_book_builds_with_plain_sphinx(tmp_path):
    ours = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    sphinx = ours["sphinx"]
    pages = build.pages(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))
    sources = [f"{page}{ending}" for page in pages for ending in (".ipynb", ".md") if (ROOT / f"{page}{ending}").is_file()]
    values = {name: value for name, value in sphinx["config"].items() if name != "html_static_path"}
    configuration = CONFIGURATION.format(
        book=str(ROOT / "book"),
        title=ours["title"],
        extensions=[*sphinx["extra_extensions"], *sphinx["local_extensions"]],
        toc=str(ROOT / "_toc.yml"),
        pages=sources,
        bibliography=[str(ROOT / path) for path in ours["bibtex_bibfiles"]],
        static=str(ROOT / "book" / "_static"),
        values=values,
    )
    (tmp_path / "conf.py").write_text(configuration, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-n",
        "-W",
        "--keep-going",
        "-c",
        str(tmp_path),
        str(ROOT),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for page in pages:
        assert (tmp_path / "html" / f"{page}.html").is_file(), page
