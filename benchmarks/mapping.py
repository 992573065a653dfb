"""Mapping rasters from disk, tile by tile: pixels a second and peak memory, as scenes grow and for one core against all.

First a stand-in for a network, which answers at once, over GeoTIFFs of 100 bands and 1,000, 2,000 and 4,000 pixels a side: what
reading, projecting, cutting and writing take, and whether memory stays flat. Then CPDGAL and three peers over Indian Pines'
first rows, with one core and with all. Each measurement has a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import rasterio
import torch
from rasterio.transform import from_origin

import cpdgal
from cpdgal import Scene, Study, mapping
from cpdgal.windows import Projection

BANDS, CLASSES, ROWS = 100, 10, 30
SIDES = (1000, 2000, 4000)
NETWORKS = ("cpdgal", "ssftt", "sprn", "gscvit")


class StandIn(torch.nn.Module):
    """Answers with the scores of the window's pixel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :CLASSES, x.shape[2] // 2, x.shape[3] // 2]


class Trained:
    """What `write_map` asks of a record."""

    def __init__(self, study: Study, network: torch.nn.Module, projection: Projection, classes: int):
        self.study, self.network, self.projection, self.classes = study, network.eval(), projection, range(classes)
        self.digest = "of no file"

    def trained(self):
        return self.network, self.projection

    def training_scene(self):
        names = [f"class {k + 1}" for k in self.classes]
        palette = np.random.default_rng(0).uniform(size=(len(names), 3))
        return {"label_values": [k + 1 for k in self.classes], "classes": names, "palette": palette, "band_centers_nm": None}


def raster(path: Path, side: int) -> None:
    """A GeoTIFF (side, side, BANDS) of int16."""
    rng = np.random.default_rng(0)
    about = {"height": side, "width": side, "count": BANDS, "dtype": "int16"}
    place = {"crs": "EPSG:32616", "transform": from_origin(0, 0, 10, 10)}
    with rasterio.open(path, "w", driver="GTiff", interleave="pixel", BIGTIFF="IF_SAFER", **about, **place) as file:
        for top in range(0, side, 50):
            strip = rng.integers(0, 4000, (BANDS, 50, side), dtype=np.int16)
            file.write(strip, window=rasterio.windows.Window(0, top, side, 50))


def measure(what: str, side: int, jobs: int, folder: Path) -> dict[str, float]:
    if what == "stand-in":
        spectra = np.random.default_rng(1).integers(0, 4000, (5000, BANDS)).astype(np.float32)
        record = Trained(Study(scene="synthetic"), StandIn(), Projection(15).fit(spectra), CLASSES)
        opened = mapping.opened(str(folder / f"{side}.tif"))
    else:
        scene = cpdgal.load_scene("indian_pines")
        part = Scene(scene.cube[:ROWS], None, name="indian_pines")
        study = Study(method=what)
        record = Trained(study, study.make_network(scene), study.make_windows(scene, study.make_split(scene)).projection, 16)
        opened = mapping.opened("synthetic")
    with opened as source:
        source = source if what == "stand-in" else mapping.Source.of(part)
        start = time.perf_counter()
        mapping.write_map(record, folder / f"{what}-{side}-{jobs}.tif", source, outputs=["entropy"], jobs=jobs, progress=False)
        seconds = time.perf_counter() - start
    pixels = source.shape[0] * source.shape[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    return {"pixels": pixels, "seconds": seconds, "pixels a second": pixels / seconds, "peak MB": peak}


def in_a_process(what: str, side: int, jobs: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", what, str(side), str(jobs), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"network": what, "cores": jobs, **json.loads(done.stdout.splitlines()[-1])}


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sides", type=int, nargs="*", default=SIDES)
    arguments.add_argument("--networks", nargs="*", default=NETWORKS)
    arguments.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure:
        what, side, jobs, folder = options.measure
        print(json.dumps(measure(what, int(side), int(jobs), Path(folder))))
        sys.exit()
    cores, rows = os.cpu_count() or 1, []
    with tempfile.TemporaryDirectory() as place:
        for side in options.sides:
            raster(Path(place) / f"{side}.tif", side)
            rows.append(in_a_process("stand-in", side, 1, Path(place)))
            (Path(place) / f"{side}.tif").unlink()
            print(rows[-1], flush=True)
        for network in options.networks:
            rows += [in_a_process(network, ROWS, jobs, Path(place)) for jobs in sorted({1, cores})]
            print(rows[-1], flush=True)
    print(pd.DataFrame(rows).round(1).to_string(index=False))
