import os
from pathlib import Path

import matplotlib
import pytest
import torch
from small import SMALL, run

import cpdgal

matplotlib.use("agg")
torch.set_num_threads(1)  # two cores on so small a network only get in each other's way
ROOT = Path(__file__).resolve().parents[1]


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
