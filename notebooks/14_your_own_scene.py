# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version,-all
#     cell_metadata_filter: tags,mystnb,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own scene: from a cube to a map that can be defended
#
# You have a hyperspectral cube and little or no ground truth. This page goes the whole way with files as you would have them: look at
# what was read, label the pixels that are worth it, map the scene with its place on earth, and put an accuracy with an interval on the
# map. Every step is a command of `cpdgal`, typed here as in a shell. The scene is SalinasA where the folder `CPDGAL_DATA_DIR` has it,
# and else the synthetic one; a scripted person, who knows the ground truth, gives the labels. It runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/14_your_own_scene.ipynb).

# %% tags=["hide-input"]
# Set-up: a hosted notebook service gets the package, and nothing that it already has is changed. Elsewhere, no effect.
import sys

if "google.colab" in sys.modules:
    import subprocess

    address = "cpdgal[pages] @ git+https://github.com/cpdgal/cpdgal"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", address], check=True
    )

# %% tags=["parameters"]
scene_name: str = ""  # a known scene; none takes SalinasA where it is at hand
rounds: int = 3  # rounds of labelling
count: int = 20  # pixels that a round asks for
profile: str = "quick"  # how networks are trained: smoke (seconds), quick (minutes)
seed: int = 0  # decides weights, noise and random choices

# %% tags=["hide-input", "nbval-ignore-output"]
import os
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from textwrap import fill

import numpy as np
import pandas as pd
import rasterio
from IPython.display import Image
from rasterio.transform import from_origin

import cpdgal
from cpdgal.book.common import check_parameters
from cpdgal.cli import app

check_parameters(rounds=rounds, count=count)
cpdgal.Study(profile=profile, seed=seed)  # a wrong value ends here

folder = os.environ.get("CPDGAL_DATA_DIR", "")
at_hand = Path(folder, "SalinasA_corrected.mat").is_file()
scene = cpdgal.load_scene(scene_name or ("salinas_a" if at_hand else "synthetic"))
place = Path(mkdtemp(prefix="cpdgal-"))  # where "your" files are
truth = np.concatenate([[0], scene.label_values])[scene.labels]


def shell(line):
    """Run a command of cpdgal as in a shell, in the folder of the files."""
    here, said = Path.cwd(), StringIO()
    try:
        os.chdir(place)
        with redirect_stdout(said):
            app(shlex.split(line), standalone_mode=False)
    except SystemExit as error:  # a sentence on what to mend
        said.write(str(error.code))
    finally:
        os.chdir(here)
    lines = [f"$ cpdgal {line}", *said.getvalue().splitlines()]
    print("\n".join(fill(each, 100, subsequent_indent="    ") for each in lines))


def write_tiff(name, values):
    """A GeoTIFF of values (height, width, bands), as you would have one."""
    bands = np.moveaxis(np.atleast_3d(values), 2, 0)
    about = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    about |= {"crs": "EPSG:32610", "transform": from_origin(6.7e5, 4.06e6, 4, 4)}
    with rasterio.open(place / name, "w", dtype=bands.dtype, **about) as file:
        file.write(bands)


write_tiff("field.tif", scene.cube)
write_tiff("truth.tif", truth.astype(np.uint8))

# %% [markdown]
# ## What was read
#
# `.mat` (also of version 7.3), `.npy`, HDF5, ENVI and GeoTIFF are read as they are; other bands, another variable, a value for no data
# or a scale are options. The place of this GeoTIFF is made up, since the public scene comes without one.

# %% tags=["nbval-ignore-output"]
shell("scenes describe field.tif")

# %% [markdown]
# Look at the shape, the number of bands and the values before anything else. What cannot be right is refused in one sentence, and what
# looks wrong is told. Here are three of the most frequent mistakes: bands first, a ground truth of another grid, and a no-data value
# that nobody declared.

# %% tags=["nbval-ignore-output"]
np.save(place / "bands_first.npy", np.moveaxis(scene.cube, -1, 0))
np.save(place / "turned.npy", truth[::2])
striped = scene.cube.copy()
striped[5:8] = -9999
write_tiff("striped.tif", striped)

shell("scenes describe bands_first.npy --labels truth.tif")
shell("scenes describe field.tif --labels turned.npy")
shell("scenes describe striped.tif")

# %% [markdown]
# ## Label what is worth a label
#
# Without any label, the first pixels are typical ones of all kinds of spectra. From then on each call trains the network on all labels
# so far and asks for the pixels that it is least sure of, a few pixels apart, here among those that the person can tell. They come as a table, as a file for QGIS, and as a
# picture. You write the classes into the table and make the same call again; nothing is lost in between.

# %% tags=["nbval-ignore-output"]
listed = zip(scene.label_values, scene.class_names, strict=True)
named = ", ".join(f"{value}={name}" for value, name in listed)
options = f"--count {count} --distance 3 --profile {profile} --seed {seed}"
shell(f"label field.tif --among truth.tif --classes '{named}' {options}")

# %% mystnb={"figure": {"caption": "The pixels of the first round, by their numbers in the table, over the scene in false colour."}, "image": {"alt": "The scene in false colour with a numbered mark at each of the pixels to be labelled."}} tags=["nbval-ignore-output"]
Image(place / "field-labels" / "ask-1.png")


# %% tags=["nbval-ignore-output"]
def answer(number):
    """What the person does: write the class of every pixel into the table, or skip where it is not known."""
    path = place / "field-labels" / f"ask-{number}.csv"
    table = pd.read_csv(path)
    known = truth[table["row"], table["column"]]
    table["class"] = np.where(known > 0, known.astype(str), "skip")
    table.to_csv(path, index=False)


for number in range(1, rounds + 1):
    answer(number)
    shell("label field.tif")

# %% [markdown]
# The line that begins with advice comes from two published rules: the agreement of successive maps {cite}`bloodgood2009` and the
# uncertainty that is left {cite}`zhu2010`. [Query strategies](11_query_strategies) shows what they would have saved on the runs of this book.
#
# ## The map
#
# The network of the last round maps the whole scene tile by tile, in bounded memory, on all cores. A map that is cut off goes on where
# it stopped. It keeps the place of the cube, and the colours and names of its classes.

# %% tags=["nbval-ignore-output"]
model = "field-labels/model.safetensors"
shell(f"map {model} field.tif -o map.tif --entropy --legend legend.png")

# %% mystnb={"figure": {"caption": "The map of the whole scene, with the share of the map that each class covers."}, "image": {"alt": "The map of classes with a scale bar and a legend that gives the share of every class."}} tags=["nbval-ignore-output"]
Image(place / "legend.png")

# %% [markdown]
# ## An accuracy to defend
#
# The share of labelled pixels that a map gets right says nothing about the map: they were chosen because the network was unsure. What
# counts is a probability sample of the map, interpreted by somebody who does not see its classes. `assess design` says how many points
# that takes, and draws them; `assess` turns the answers into accuracies and areas with 95 % intervals {cite}`olofsson2014`. The ground
# truth here knows a part of the pixels only, so it is this part that is mapped and assessed.

# %% tags=["nbval-ignore-output"]
shell(f"map {model} field.tif -o part.tif --labelled --labels truth.tif")
shell("assess design part.tif --out points.csv --interval 4 --at-least 20")
points = pd.read_csv(place / "points.csv")
points["class"] = truth[points["row"], points["column"]]
points.to_csv(place / "points.csv", index=False)
shell("assess part.tif --reference points.csv")

# %% [markdown]
# On a scene of yours this is where it ends. Here the truth is known everywhere, so that the interval can be held against it:

# %% tags=["nbval-ignore-output"]
with rasterio.open(place / "part.tif") as file:
    mapped = file.read(1)
right = (mapped == truth)[truth > 0].mean()
print(f"right at {right:.1%} of all {np.sum(truth > 0)} pixels with a ground truth")

# %% [markdown]
# ## Which split?
#
# Where there is a ground truth from the start, an accuracy can be had without new points, and it depends on how test pixels are chosen.
# On a random split nearly every test window holds training pixels; folds of blocks with a gap keep them apart
# ([the audit](10_leakage_audit)). Report both, with what place alone and single spectra reach beside them. Here a fifth of the pool is
# labelled at once, without the loop.

# %% tags=["nbval-ignore-output"]
plain = cpdgal.Study(
    scene=str(place / "field.tif"),
    labels_path=str(place / "truth.tif"),
    profile=profile,
    block=8,
    gap=6,
    seed=seed,
    cycles=0,
    initial=0.2,
    stratified=True,
)
found = {}
for split in ("random", "folds"):
    studies = [
        plain.but(method=method, split=split)
        for method in ("cpdgal", "coordinates", "spectra")
    ]
    records = cpdgal.side_by_side(*studies, store=place / "results", jobs=2)
    found[split] = {record.study.method: record.final.OA for record in records}
pd.DataFrame(found).rename_axis("OA, %").round(1)

# %% tags=["nbval-ignore-output"]
shell(
    "run --scene field.tif --labels truth.tif --method coordinates --profile smoke"
)

# %% [markdown]
# ## In Python
#
# The same without files in between: `cpdgal.suggest` gives the next pixels for labels that you keep yourself, and
# `cpdgal.write_map` maps a scene in memory or on disk with a record that has its weights ([reference](../book/api)).

# %% tags=["nbval-ignore-output"]
labels = pd.read_csv(place / "field-labels" / "labels.csv")
known = labels[labels["class"] > 0]
found = cpdgal.suggest(scene, known, 5, profile=profile, distance=3, progress=False)
found.set_axis(range(1, len(found) + 1)).rename_axis("number")
