import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest
import torch
import yaml
from filelock import FileLock
from small import SMALL, run

import cpdgal

matplotlib.use("agg")
torch.set_num_threads(1)  # two cores on so small a network only get in each other's way
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))


def run_papermill(cwd: Path, *arguments) -> subprocess.CompletedProcess:
    """Execute a notebook in a folder as a user does."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def scene():
    return cpdgal.load_scene("synthetic", height=30, width=32, bands=20, classes=4)


@pytest.fixture(scope="session")
def indian_pines():
    return cpdgal.load_scene("indian_pines")


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real scenes, where the user has one."""
    if not os.environ.get("CPDGAL_DATA_DIR"):
        pytest.skip("CPDGAL_DATA_DIR names no folder with the real scenes")
    return Path(os.environ["CPDGAL_DATA_DIR"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the record of the small study was kept, with its weights. Only for looking at."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def record(folder):
    return run(SMALL, folder, weights=True)


@pytest.fixture(scope="module")
def synthetic():
    return cpdgal.load_scene("synthetic")


@pytest.fixture(scope="session")
def book_pages():
    """The names of all pages of the book, built with this machine's part: the user's own run where there is one, else the
    committed for the while. Tests side by side build it once."""
    import build

    run, toc = build.RUNS / "01_quickstart.ipynb", build.RUNS / "_toc.yml"
    run.parent.mkdir(exist_ok=True)
    with FileLock(build.RUNS / "book.lock"):
        if not (toc.is_file() and build.is_built(toc)):
            own = run.exists()
            if not own:
                shutil.copy(ROOT / "notebooks" / run.name, run)
            try:
                build.build(build.contents(own_run=True))
            finally:
                if not own:
                    run.unlink()
    return build.pages(yaml.safe_load(toc.read_text(encoding="utf-8")))


def pytest_terminal_summary(terminalreporter) -> None:
    """Say in the last lines whether the book was looked at in a browser."""
    counts = {}
    for outcome in ("passed", "failed", "skipped", "error"):
        reports = terminalreporter.stats.get(outcome, [])
        counts[outcome] = sum(
            "browser" in getattr(report, "keywords", ()) and "tests/test_browser.py" in report.nodeid for report in reports
        )
    if any(counts.values()):
        looked = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
        skipped = "; skipped: no Chromium on PATH" if counts["skipped"] else ""
        terminalreporter.write_line(f"The book in a browser: {looked}{skipped}")
