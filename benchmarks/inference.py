"""Map a whole scene: pixels a second and peak memory of CPDGAL and every peer, one thread, one run.

Each network classifies pixels of Indian Pines from lazily cut windows, a share of the scene's that takes about the same time
for each; the ordinary way, with all windows of the scene built first, is beside it. Every network runs in a process of its own,
so that memory is its own.

    python benchmarks/inference.py            about twenty minutes
    python benchmarks/inference.py ssftt vit  only these, beside CPDGAL
    python benchmarks/inference.py --write    into results/inference.csv, which the book shows; what it had of others stays
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import cpdgal
from cpdgal.methods import METHODS, size
from cpdgal.peers import PEERS
from cpdgal.runner import versions
from cpdgal.study import Study
from cpdgal.training import predict

RESULTS = Path(__file__).parents[1] / "results" / "inference.csv"
SECONDS = 8  # of one core at 30 GFLOP/s, which a network's share of the scene is cut to


def measure(name: str, ordinary: bool) -> dict[str, float]:
    """Pixels a second and peak memory in MiB, in this process."""
    torch.set_num_threads(1)
    study = Study(method=name)
    scene = study.load_scene()
    windows = study.make_windows(scene, study.make_split(scene))
    network = study.make_network(scene)
    cost = 2 * size(name, bands=windows.channels, window=study.window, classes=scene.classes).multiply_adds
    height, width = scene.labels.shape
    pixels = np.arange(int(np.clip(SECONDS * 30e9 / cost, 128, height * width)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    if ordinary:
        everything = windows.at(*np.divmod(np.arange(height * width), width)).contiguous()
        built = time.perf_counter() - start
        start = time.perf_counter()
        predict(network, everything[: len(pixels)].split(128))
        seconds = time.perf_counter() - start + built * len(pixels) / (height * width)
    else:
        predict(network, (windows.at(*np.divmod(part, width)) for part in np.array_split(pixels, -(-len(pixels) // 128))))
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"pixels": len(pixels), "per second": len(pixels) / seconds, "MiB": (peak - before) / 1024}


def apart(name: str, ordinary: bool) -> dict[str, float] | None:
    """The same in a process of its own; None where memory does not hold the windows of the whole scene."""
    command = [sys.executable, __file__, "--measure", name, *(["--ordinary"] if ordinary else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return json.loads(done.stdout)
    said = (done.stderr.strip() or "killed").splitlines()[-1]
    if ordinary and (done.returncode == -signal.SIGKILL or "allocate" in said):
        return None
    sys.exit(f"{name} did not run: {said}")


def main() -> None:
    """Measure what is asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("methods", nargs="*", help="names of `cpdgal methods`; all by default")
    arguments.add_argument("--write", action="store_true", help=f"into {RESULTS.name}")
    arguments.add_argument("--measure", help=argparse.SUPPRESS)
    arguments.add_argument("--ordinary", action="store_true", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure, asked.ordinary)))
        return
    names = ["cpdgal", *(name for name in asked.methods or ["vit", *PEERS] if name != "cpdgal")]
    networks = [name for name, method in METHODS.items() if method.kind == "network"]
    if wrong := [name for name in names if name not in networks]:
        sys.exit(f"no network is called {', '.join(wrong)}; known are {', '.join(networks)}")
    made = versions("cpu")
    machine = f"torch {made['torch']}, {made['processor']}, one thread; cpdgal {cpdgal.__version__}"
    print(machine)
    print(f"{'':16}{'pixels':>8}{'a second':>10}{'to CPDGAL':>11}{'MiB':>8}{'all built first: a second':>28}{'MiB':>8}")
    ours = None
    for name in names:
        lazily, built = apart(name, False), apart(name, True)
        ours = ours or lazily["per second"]
        there = f"{built['per second']:28.0f}{built['MiB']:8.0f}" if built else f"{'does not fit':>28}"
        speed = lazily["per second"]
        print(f"{name:16}{lazily['pixels']:8}{speed:10.0f}{speed / ours:11.3f}{lazily['MiB']:8.0f}{there}", flush=True)
        if asked.write:
            row = {"pixels a second": speed, "to CPDGAL": speed / ours, "MiB": lazily["MiB"]}
            ordinary = built or {"per second": None, "MiB": None}
            row |= {"built first: pixels a second": ordinary["per second"], "built first: MiB": ordinary["MiB"]}
            write(name, machine, row)


def write(name: str, machine: str, row: dict[str, float | None]) -> None:
    """Put a method's row into the file; rows of another machine are dropped."""
    same = RESULTS.is_file() and RESULTS.read_text(encoding="utf-8").startswith(f"# {machine}\n")
    known = pd.read_csv(RESULTS, comment="#", index_col="method") if same else pd.DataFrame()
    table = pd.concat([known.drop(name, errors="ignore"), pd.DataFrame([row], [name], dtype=float)]).rename_axis("method")
    part = RESULTS.with_suffix(".part")
    part.write_text(f"# {machine}\n" + table.to_csv(float_format="%.4g"), encoding="utf-8")
    part.replace(RESULTS)


if __name__ == "__main__":
    main()
