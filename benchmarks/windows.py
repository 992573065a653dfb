"""Lazy windows against all windows built ahead, for every pixel of Indian Pines at window 25: time and memory.

Each way runs in a fresh process, as it would in a user's; the best of `--repeats` counts. The memory is the growth of
the process's peak over what it held with the scene loaded and reduced.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

import cpdgal

WINDOW, COMPONENTS, BATCH = 25, 15, 1024


def lazily(windows: cpdgal.Windows) -> int:
    return sum(len(batch) for batch in windows.scene_batches(BATCH))


def ahead(windows: cpdgal.Windows) -> int:
    """As most public code does: scores padded with zeros, and a loop that copies a window for every pixel."""
    scene, margin = windows.scene, WINDOW // 2
    height, width, bands = scene.cube.shape
    scores = windows.projection.pipeline.transform(scene.cube.reshape(-1, bands)).reshape(height, width, COMPONENTS)
    padded = np.zeros((height + 2 * margin, width + 2 * margin, COMPONENTS))
    padded[margin:-margin, margin:-margin] = scores
    copies = np.zeros((height * width, WINDOW, WINDOW, COMPONENTS))
    for row in range(height):
        for column in range(width):
            copies[row * width + column] = padded[row : row + WINDOW, column : column + WINDOW]
    return len(copies)


def measure(way: str) -> dict[str, float]:
    windows = cpdgal.Windows(cpdgal.load_scene("indian_pines"), WINDOW, COMPONENTS)
    windows.at([0], [0])
    held, start = peak_mb(), time.perf_counter()
    count = {"lazily": lazily, "ahead": ahead}[way](windows)
    seconds = time.perf_counter() - start
    return {"windows": count, "seconds": seconds, "added_mb": peak_mb() - held}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--way", choices=["lazily", "ahead"], help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.way:
        print(json.dumps(measure(options.way)))
        sys.exit()
    best = {}
    for way in ("lazily", "ahead") * options.repeats:
        child = subprocess.run([sys.executable, __file__, "--way", way], capture_output=True, text=True, check=True)
        result = json.loads(child.stdout)
        best[way] = min(best.get(way, result), result, key=lambda each: each["seconds"])
        print(f"{way:7} {result['windows']} windows  {result['seconds']:7.3f} s  {result['added_mb']:8.1f} MB more", flush=True)
    ratio = best["ahead"]["seconds"] / best["lazily"]["seconds"]
    print(f"best of {options.repeats}: lazily is {ratio:.1f} times faster and adds {best['lazily']['added_mb']:.0f} MB")
