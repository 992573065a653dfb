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
# # How confident the network is on the remaining pool
#
# **The paper says** (Section 4, Fig. 7): at first the predictive {term}`entropy` of the remaining {term}`pool` "is skewed towards higher-entropy
# bins"; as labels come in, "mass shifts toward lower-entropy bins, reflecting growing model confidence", while "a persistent
# fraction of samples remain in higher-entropy bins". At a budget of 0.5 % per {term}`cycle` very low entropy shows a deep yellow from cycles
# 8 to 30; at 2 % the paper speaks of a "globally lighter map, with minimal low-entropy accumulation across cycles", and "from cycle 20
# [...] all predicted samples in the high confidence region". Neither scene nor number of runs is given.
#
# **Measured here**: the same runs as on [the page before](07_model_improvement), three budgets of 30 cycles. After every training
# the pixels of the remaining pool are sorted by predictive entropy divided by log K, 0 for a certain and 1 for a uniform prediction, into
# ten equal bins ([open decision 13](../book/decisions)). Low entropy only means that the network is confident, so the page also
# tests how often it is correct. Counts come from [run records](../book/records), predictions from kept weights. The page runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/08_entropy.ipynb).

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
scene_name: str = "indian_pines"  # a known scene, or the file of a cube
labels_path: str = ""  # the ground truth of a cube of your own
reading: str = "{}"  # how files of your own are read, as JSON: {"no_data": 0}
profile: str = "paper"  # paper, ablation, quick, or smoke (one seed, two cycles)
seeds: int = 3  # how many, counted from 0
components: int = 15  # principal components, at most the cube's bands
train: bool = False  # run what the store lacks; always so for other runs
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import numpy as np
import pandas as pd
from IPython.display import Markdown

import cpdgal
from cpdgal.book import entropy as page
from cpdgal.book.common import (
    BUDGETS,
    answer,
    check_parameters,
    curves_by_panel,
    ends_of,
    glue,
    not_yet,
    studies_of,
)
from cpdgal.book.verdicts import on_record, spread
from cpdgal.runner import gather
from cpdgal.study import named_values
from cpdgal.training import predict

check_parameters(seeds=seeds, train=train)


def verdict(key, found):
    """A verdict on the page, and for the start page."""
    return Markdown(f"Verdict: {answer(key, found)}")


# %% [markdown]
# ## The runs
#
# The profile `smoke` runs one {term}`seed` and two budgets.

# %%
smoke, rerun = (
    profile == "smoke",
    (scene_name, profile) != ("indian_pines", "paper"),
)
shared = {
    "scene": scene_name,
    "labels_path": labels_path,
    "profile": profile,
    "components": components,
    **named_values(reading),
}
studies = studies_of(BUDGETS, range(1 if smoke else seeds), **shared)
wanted = {n: each for n, each in studies.items() if not smoke or n != "1 %"}
records = cpdgal.Store(store)
found = gather(wanted, records, train=train or rerun, weights=rerun)
groups = {name: found.get(name, []) for name in studies}
there = {name: each for name, each in groups.items() if each}

# %% tags=["remove-input"]
Markdown(on_record(wanted, groups))

# %% [markdown]
# (figure-7)=
# ## The heat maps (Fig. 7)
#
# As in the paper, a row is a bin, with the most certain pixels at the top, a column is a cycle, and yellow means many pixels. All panels
# share one scale.

# %% mystnb={"figure": {"caption": "{glue:text}`entropy-maps-finding:s` Pixels of the remaining pool by predictive entropy divided by log K (rows, the most certain at the top) and cycle (columns), mean over seeds, at each budget on record."}, "image": {"alt": "A heat map for each budget on record, a row for each entropy bin and a column for each cycle, brighter where more pixels are."}} tags=["nbval-ignore-output"]
if there:
    heat = page.entropy_maps(there)
    glue("entropy-maps-finding", page.lowest_bin(there))
else:
    not_yet("no run")

# %% [markdown]
# A count falls as pixels leave the pool, even when the network becomes no less confident. The next figure therefore shows shares, together
# with the mean entropy, estimated with each pixel at the centre of its bin (so it cannot fall below 0.05), and the expected
# calibration error ({term}`ECE`) on the {term}`hold-out`, the mean difference between confidence and accuracy.

# %% mystnb={"figure": {"caption": "{glue:text}`entropy-curves-finding:s` Over the cycles at each budget: the share of the remaining pool in the lowest of ten entropy bins and in the upper five, the mean entropy from bin centres, and the calibration error on the hold-out. Mean over seeds, and a band of one standard deviation where there are several."}, "image": {"alt": "Four panels of curves over thirty cycles, a line for each budget on record: share in the lowest bin, share in the upper five, mean entropy, calibration error."}} tags=["nbval-ignore-output"]
measures = {
    "lowest bin": lambda r: page.in_bins(r, page.LOWEST),
    "upper five bins": lambda r: page.in_bins(r, page.UPPER_HALF),
    "mean entropy": lambda r: page.mean_entropy(r.entropy),
    "calibration on the hold-out": lambda r: r.cycles.ECE.to_numpy(),
}
curves = {
    title: {
        n: pd.DataFrame({r.study.seed: of(r) for r in each})
        for n, each in groups.items()
    }
    for title, of in measures.items()
}
units = ["remaining pool (%)"] * 2 + ["entropy / log K", "ECE (points)"]
if there:
    over = curves_by_panel(curves, "cycle", units, share_y=False)
    glue("entropy-curves-finding", ends_of(over.axes[:2], form="{:.0f} %"))


# %%
def at(measure, name, cycle):
    """A measure after a cycle, in percent, mean and standard deviation over seeds."""
    table = curves[measure].get(name, pd.DataFrame())
    scale = 100 if measure == "mean entropy" else 1
    return spread(scale * table.loc[cycle]) if cycle in table.index else "not run"


asked = [("lowest bin", 0), ("lowest bin", 30), ("upper five bins", 0)]
asked += [("upper five bins", 30), ("mean entropy", 0), ("mean entropy", 30)]
pd.DataFrame(
    {
        f"{measure}, cycle {cycle}, %": {n: at(measure, n, cycle) for n in groups}
        for measure, cycle in asked
    }
).rename_axis("budget")

# %% [markdown]
# ## The claims
#
# Each claim is put as a number that should lie above a threshold, and is tested over seeds by
# {ref}`the rules that are the same on every page <verdicts>`.
#
# ### Uncertain at first
#
# "Initially, the distribution is skewed towards higher-entropy bins": after the first training the upper five bins should have
# more than half of the pool. All budgets share this training.

# %% tags=["remove-input"]
verdict("entropy-start", page.entropy_start(groups["2 %"]))

# %% [markdown]
# ### Mass shifts toward lower-entropy bins
#
# At each budget the mean entropy should be higher after the first training than at the end.

# %% tags=["remove-input"]
verdict("entropy-shifts", page.entropy_shifts(groups))

# %% [markdown]
# ### A persistent fraction in higher-entropy bins
#
# At each budget the upper five bins should have more than one in a hundred of the remaining pixels over cycles 21 to 30. (At 2 % the paper also says that from cycle 20 all samples are in the high-confidence region: the two sentences
# cannot both hold there.)

# %% tags=["remove-input"]
verdict("entropy-persists", page.entropy_persists(groups))

# %% [markdown]
# ### At 0.5 %, very low entropy from cycles 8 to 30
#
# The lowest bin should have more than half of the remaining pool at every one of these cycles.

# %% tags=["remove-input"]
verdict("entropy-05", page.gathers_in_lowest_bin(groups["0.5 %"], 8, 30, 50))

# %% [markdown]
# ### At 1 %, less low entropy, and less again after cycle 22
#
# The lowest bin should have fewer pixels than at 0.5 % over cycles 1 to 30, and fewer at cycle 30 than at cycle 22. (Both would follow
# from the shrinking pool alone, since queried pixels leave it.)

# %% tags=["remove-input"]
verdict("entropy-middle", page.entropy_middle(groups))

# %% [markdown]
# ### At 2 %, all in the high-confidence region from cycle 20
#
# "High confidence" is read as the lowest bin, "all" as more than 99 % of the remaining pool at every cycle from 20 to 30.

# %% tags=["remove-input"]
verdict("entropy-2-late", page.gathers_in_lowest_bin(groups["2 %"], 20, 30, 99))

# %% [markdown]
# ### At 2 %, little ambiguity in late cycles
#
# The upper five bins should have less than one in a hundred of the remaining pixels over cycles 25 to 30.

# %% tags=["remove-input"]
verdict("entropy-residual", page.little_ambiguity(groups["2 %"]))

# %% [markdown]
# ### At 2 %, a lighter map than at 0.5 %
#
# Over cycles 1 to 30 the lowest bin should have fewer pixels at 2 % than at 0.5 %, and also a smaller share of the remaining
# pool. The number alone would say little, since at 2 % fewer pixels remain.

# %% tags=["remove-input"]
verdict("entropy-lighter", page.entropy_lighter(groups))

# %% [markdown]
# ## Are low-entropy predictions correct?
#
# The network at the end of the loop (2 %, seed 0 of the chosen profile) predicts the remaining pool and 2,000 fixed pixels of the hold-out.
# The remaining pool is a biased sample, because the loop has removed the pixels that looked hard.

# %%
record = next((r for r in groups["2 %"] if r.weights), None)
tables = {}
if record:
    scene = record.study.load_scene()
    split = record.study.make_split(scene)
    windows = record.study.make_windows(scene, split)
    some = np.random.default_rng(0).permutation(split.holdout)[:2000]
    for name, pixels in {
        "remaining pool": np.setdiff1d(split.pool, record.labelled()),
        "hold-out": some,
    }.items():
        answers = predict(record.network(scene), windows.batches(pixels)).numpy()
        tables[name] = page.accuracy_by_entropy(scene.targets[pixels], answers)

# %% mystnb={"figure": {"caption": "{glue:text}`entropy-correct-finding:s` The share of correct predictions in each entropy bin, for the remaining pool and for 2,000 pixels of the hold-out; beside each dot the number of pixels. Bins with fewer than 20 pixels are pale and hollow."}, "image": {"alt": "Two series of dots over predictive entropy, the share of correct predictions in each bin, with the number of pixels beside each dot."}} tags=["nbval-ignore-output"]
if tables:
    right = page.right_by_entropy(tables)
    glue("entropy-correct-finding", page.wrong_and_certain(tables))
else:
    not_yet("no weights")

# %% tags=["remove-input", "nbval-ignore-output"]
lines = []
for name, table in tables.items():
    count, total = table["count"], table["count"].sum()
    all_right = np.nansum(count * table.accuracy) / total
    right = f", {table.accuracy[0]:.1f} % of them correct" if count[0] else ""
    lines.append(
        f"- **{name}**: {count[0]} of {total} pixels are in the lowest bin{right}; "
        f"of all pixels, {all_right:.1f} % are correct."
    )
Markdown("\n".join(lines))

# %% [markdown]
# ## What differs, and why it may
#
# - In every cycle the network continues with its weights for 200 epochs on few labels. Once it has memorised these it
#   is confident on most pixels, which would move the pool to the lowest bins at any budget.
# - At an equal number of cycles a larger budget has more labels. The effect of the budget shows at an equal number of labels
#   ([the page before](07_model_improvement)); the paper compares at an equal number of cycles, and so do the rules here.
# - The paper's maps may show another scene, and its bins may have other limits: the main text states neither and refers to
#   "Appendix 6.8" of the supplement, which was not at hand.
