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
# # Open decisions, measured
#
# The paper leaves choices open that a program has to make; [they are listed with their reasons](../book/decisions). Here is what
# each alternative does, one change at a time. Judged is on half of the training pool that is never asked for; the hold-out
# is never seen. The protocol is a short one (8 cycles of 6 %, 40 epochs), the list of seeds and alternatives was
# written into `workflow/sweeps.yml` before the first run. It runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/12_open_decisions.ipynb).

# %% tags=["hide-input"]
# Set-up: a hosted notebook service gets the package, and nothing that it already has is changed. Elsewhere, no effect.
import sys

if "google.colab" in sys.modules:
    import subprocess

    address = "cpdgal @ git+https://github.com/cpdgal/cpdgal"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", address], check=True
    )

# %% tags=["parameters"]
# Alone on its line, IPython would take the next for its magic command of that name.
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy import stats

import cpdgal
from cpdgal import figures
from cpdgal.figures import glue

SHORT = {"acquired": 0.06, "cycles": 8, "epochs": 40}
# What each change is called, and its number on the page of open decisions.
NAMES = {
    "window = 5": "1: window 5",
    "window = 9": "1: window 9",
    "residual_blocks = True": "1: residual denoising blocks",
    "residual_denoiser = False": "1: denoiser without its residual",
    "residual_blocks = True, residual_denoiser = False": "1: residual blocks alone",
    "cw_mse_weight = 0.0": "2: CW-MSE weight 0",
    "cw_mse_weight = 0.003": "2: CW-MSE weight 0.003",
    "cw_mse_weight = 0.01": "2: CW-MSE weight 0.01",
    "cw_mse_weight = 0.03": "2: CW-MSE weight 0.03",
    "cw_mse_weight = 1.0": "2: CW-MSE weight 1",
    "detach_target = True": "2: CW-MSE target detached",
    "masked_above = half": "3: masked where above one half",
    "refinement = last": "4: t = T at inference",
    "refinement = average": "4: mean of 8 draws at inference",
    "alpha_range = [0.99, 0.01]": "5: schedule down to 0.01",
    "alpha_range = [0.99, 0.9]": "5: schedule down to 0.9",
    "alpha_clip = [0.2, 0.8]": "5: clipped to 0.2..0.8",
    "alpha_form = sigmoid": "5: sigmoid schedule",
    "mask_at_inference = False": "6: no mask at inference",
    "warm_start = False": "7: each training from scratch",
    "keep_optimizer = True": "7: Adam's state kept",
    "stratified = True": "9: first labels from every class",
    "stratified_pool = False": "9: pool purely at random",
    "pca = pool": "10: PCA of the pool alone",
    "whiten = False": "10: scores not whitened",
    "pooling = centre": "14: centre token",
    "refined_after_norm = False": "15: Z'_m before the LayerNorm",
    "decay = cosine": "16: cosine decay",
}
validated = [
    record
    for record in cpdgal.Store(store).records()
    if record.study.split == "validation"
    and record.study.method == "cpdgal"
    and SHORT.items() <= record.study.changes.items()
]


def alternative(record):
    """What a study changes beside the short protocol."""
    changed = {
        name: value
        for name, value in record.study.changes.items()
        if name not in SHORT
    }
    said = ", ".join(f"{name} = {value}" for name, value in changed.items())
    return NAMES.get(said, said)


ends = pd.DataFrame(
    [(alternative(r), r.study.seed, r.final.OA) for r in validated],
    columns=["alternative", "seed", "OA"],
).pivot(index="alternative", columns="seed", values="OA")
default = ends.loc[""] if "" in ends.index else pd.Series(dtype=float)
changes = (ends.drop(index="", errors="ignore") - default).dropna(how="all")
judged = int(validated[0].confusion.sum()) if validated else 0

# %% [markdown]
# ## The effect of each

# %% mystnb={"figure": {"caption": "Change of overall accuracy on validation pixels against the default: diamonds are means over seeds, dots are seeds."}, "image": {"alt": "A row for every alternative with its change of accuracy in points around a vertical line at zero; a grey band shows one standard error."}} tags=["nbval-ignore-output"]
share = default.mean() / 100
noise = (
    100 * np.sqrt(share * (1 - share) / judged / len(default))
    if len(default)
    else 0.0
)
if len(changes):
    drawn = figures.effects(changes, noise)
else:
    print("no validation run is on record yet")

# %%
rows = []
for name, row in changes.loc[changes.mean(axis=1).sort_values().index].iterrows():
    each = row.dropna()
    p = stats.ttest_1samp(each, 0).pvalue if len(each) > 2 else np.nan
    rows.append(
        {
            "alternative": name,
            "seeds": len(each),
            "change of OA, points": f"{each.mean():+.2f}",
            "seed by seed": ", ".join(f"{value:+.2f}" for value in each),
            "p (paired t-test)": "" if np.isnan(p) else f"{p:.3f}",
        }
    )
for name in NAMES.values():
    effect = changes.loc[name].mean() if name in changes.index else None
    shown = "not run yet" if effect is None else f"{effect:+.2f} points"
    key = "".join(c if c.isalnum() else "-" for c in name.lower().replace("'", ""))
    glue("decision-" + "-".join(filter(None, key.split("-"))), shown)
glue("decision-default", f"{default.mean():.2f}" if len(default) else "not run")
glue("decision-noise", f"{noise:.2f}")
glue("decision-seeds", len(default))
pd.DataFrame(rows)

# %% tags=["remove-input"]
clear = [
    row
    for row in rows
    if row["p (paired t-test)"]
    and float(row["p (paired t-test)"]) < 0.05 / max(len(rows), 1)
]
better = [
    row["alternative"] for row in clear if row["change of OA, points"][0] == "+"
]
worse = [
    row["alternative"] for row in clear if row["change of OA, points"][0] == "-"
]
Markdown(
    f"The default reaches {default.mean():.2f} % of {judged} validation pixels, mean over the seeds on record ({len(default)}). With "
    f"{len(rows)} of {len(NAMES)} alternatives run, a change counts as clear where p is below 0.05 divided by their number. "
    f"Clearly better: {', '.join(better) or 'none'}. Clearly worse: {', '.join(worse) or 'none'}. "
    "Where nothing is clearly better, the paper's reading stays the default."
    if rows
    else "Nothing to compare yet."
)
