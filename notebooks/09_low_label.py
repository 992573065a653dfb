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
# # Few labels, convergence, robustness, calibration
#
# **The paper says** that CPDGAL "generalizes better than the vision transformer in extreme low-label settings" and works by
# "implicitly calibrating the aleatoric uncertainty", where vision transformers "struggle with sensitivity to
# spectral-spatial perturbations" (abstract), and that its residual form gives "faster convergence" (Section 2.2; Section 4
# refers to "Appendix 6.5" and "6.6" for the curves, in a supplement listed on the conference's page that was not at hand). The main
# text gives no number for any of the four.
#
# **Measured here**: CPDGAL and the ViT, the transformer without the paper's modules, trained on the same few labels with
# the same {term}`seeds <seed>`, and then tested on the {term}`hold-out`, both unchanged and as a worse sensor would record it. Nothing is
# queried, since these claims are about the network and not about the loop. Trained networks are read from [run records](../book/records);
# their predictions on disturbed scenes are computed on this page. The page runs as it is,
# [on Colab too](https://colab.research.google.com/github/cpdgal/cpdgal/blob/main/notebooks/09_low_label.ipynb).

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
profile: str = "paper"  # paper, or smoke (one seed and a few runs)
seeds: int = 3  # how many, counted from 0
components: int = 15  # principal components, at most the cube's bands
train: bool = False  # run what the store lacks (else only at other profiles)
store: str = "results"  # the folder of records (else those of the package)

# %% tags=["hide-input", "nbval-ignore-output"]
import json

import numpy as np
import pandas as pd
from IPython.display import Markdown
from sklearn.metrics import roc_auc_score

import cpdgal
from cpdgal.book import low_label as page
from cpdgal.book.common import (
    answer,
    check_parameters,
    curves_by_panel,
    ends_of,
    glue,
    not_yet,
    over_seeds,
    studies_of,
)
from cpdgal.book.low_label import EXTREME, FEW_LABELS, FLOORS, NETWORKS
from cpdgal.book.verdicts import (
    above,
    better,
    combined,
    final_scores,
    on_record,
    spread,
)
from cpdgal.runner import gather
from cpdgal.study import named_values

check_parameters(seeds=seeds, train=train)

# %% tags=["hide-input"]
records = cpdgal.Store(store)
smoke = profile == "smoke"
train = train or profile != "paper" or scene_name != "indian_pines"
shared = {
    "scene": scene_name,
    "labels_path": labels_path,
    "profile": profile,
    "components": components,
    **named_values(reading),
}
counted = range(1 if smoke else seeds)


# %% [markdown]
# CPDGAL and the ViT share split, labels and seed, so differences are taken seed by seed and tested by
# {ref}`the rules that are the same on every page <verdicts>`.
#
# ## Few labels
#
# Each network is trained once for 200 epochs, on a fixed number of labels of each class or on a random share of the {term}`pool`. The pool
# is a tenth of the labelled pixels, so half of it is 5 % of them. Of a rare class the pool may have fewer pixels than the setting takes;
# then all of them are used. Two {term}`baselines <baseline>` need no network: one knows only a pixel's row and column, the other only its
# spectrum.

# %% tags=["hide-input"]
settings = ("5 of each class", "50 % of the pool") if smoke else FEW_LABELS


def runs(split):
    """The records by method and setting, and how many there are."""
    changes = {
        name: change
        for name, change in page.SETTINGS.items()
        if name.split(", ")[1] in settings
    }
    studies = studies_of(changes, counted, split=split, **shared)
    found = gather(studies, records, train=train)
    by_method = {
        method: {name: found[f"{method}, {name}"] for name in settings}
        for method in (*NETWORKS, *FLOORS)
    }
    return by_method, on_record(studies, found)


# %% tags=["hide-input"]
def few(found, key):
    """The verdict on the settings that count as extreme."""
    extreme = [name for name in settings if name in EXTREME]
    both = [
        page.mean_final_scores([found[m][name] for name in extreme])
        for m in NETWORKS
    ]
    return answer(key, better(*both, ("Mean accuracy, CPDGAL", "ViT")))


def curves(found):
    """Accuracy over labels, so many of each class, and at random."""
    parts = {
        title: [name for name in settings if word in name]
        for title, word in (("of each class", "class"), ("at random", "pool"))
    }
    panels = {
        title: {
            m: page.accuracy_over_labels([found[m][name] for name in names])
            for m in found
        }
        for title, names in parts.items()
    }
    x, y = "labelled pixels", "overall accuracy (%)"
    return curves_by_panel(panels, x, y, log=True)


# %% [markdown]
# (low-label-random)=
# ### The paper's split
#
# Pool and hold-out are drawn at random, pixel by pixel.

# %% tags=["remove-input"]
random, said = runs("random")
Markdown(said)

# %%
page.table_by_setting(random)

# %% [markdown]
# On this page, *extreme low-label settings* are those with at most five labels of each class, or at most a fifth of the pool (2 % of
# the labelled pixels). The comparison uses the mean overall accuracy over these seven settings, for every seed that has all of
# them.

# %% tags=["remove-input"]
Markdown(few(random, "low-label-random"))

# %% mystnb={"figure": {"caption": "{glue:text}`low-label-random-finding:s` Overall accuracy over the number of labels, the paper's split: mean over seeds, and a band of one standard deviation where there are several."}, "image": {"alt": "Two panels of curves over the number of labelled pixels on a logarithmic axis, a line for each method on record: labels of each class on the left, labels at random on the right."}} tags=["nbval-ignore-output"]
low_random = curves(random)
glue("low-label-random-finding", ends_of(low_random.axes))

# %% [markdown]
# (low-label-block)=
# ### Blocks apart
#
# The same on the {term}`block split`, where no {term}`window` of the hold-out overlaps a window of the pool
# ([the leakage audit](10_leakage_audit) says why).

# %% tags=["remove-input"]
block, said = runs("block")
Markdown(said)

# %%
page.table_by_setting(block)

# %% tags=["remove-input"]
Markdown(few(block, "low-label-block"))

# %% mystnb={"figure": {"caption": "{glue:text}`low-label-block-finding:s` Overall accuracy over the number of labels on the block split: mean over seeds, and a band of one standard deviation where there are several."}, "image": {"alt": "Two panels of curves over few labels on a logarithmic axis on the block split, a line for each method on record."}} tags=["nbval-ignore-output"]
low_block = curves(block)
glue("low-label-block-finding", ends_of(low_block.axes))

# %% [markdown]
# The paper does not say how few labels are extreme, nor which split it used. With one pixel of a class, accuracy depends on which
# pixel that is: standard deviations over seeds are large, and three seeds reveal only large differences.
#
# (convergence)=
# ## Convergence
#
# The training on 5 % of the labels is evaluated every ten epochs: it is divided into twenty stages, in which the weights and the state of
# Adam are kept. The two losses are different quantities, since CPDGAL's contains the {term}`CW-MSE` beside the cross-entropy.
#
# The paper says that the *residual* denoiser "converges faster", so CPDGAL is compared with itself without the residual of Eq. 7.
#
# The measure is the number of epochs until the accuracy on the hold-out first comes within one point of a level that both networks reach,
# the lower of their two final accuracies at that seed. A low final accuracy is therefore no advantage, and a high one no disadvantage.

# %% tags=["remove-input"]
stages = {"cycles": 1, "epochs": 2} if smoke else {}
wanted = studies_of(page.IN_STAGES, counted, **stages, **shared)
staged = gather(wanted, records, train=train)
Markdown(on_record(wanted, staged))

# %%
pair = ("CPDGAL", page.PLAIN)
counts = page.epochs_to_level(*(staged[name] for name in pair))
needed = {name: {} for name in staged} | dict(zip(pair, counts, strict=True))
table = {
    method: {
        "epochs to the common level of the first and the last row": spread(
            needed[method].values()
        ),
        "OA, mean of all evaluations, %": spread(
            [r.cycles.OA.mean() for r in each]
        ),
        "OA at the end, %": spread(final_scores(each).values()),
    }
    for method, each in staged.items()
}
pd.DataFrame(table).T

# %% tags=["remove-input"]
said = page.faster(*(staged[name] for name in pair), ("Residual", "plain denoiser"))
Markdown(answer("convergence-faster", said))


# %% mystnb={"figure": {"caption": "{glue:text}`low-label-epochs-finding:s` Training loss and overall accuracy on the hold-out over epochs, with 5 % of the labels: mean over seeds, and a band of one standard deviation where there are several."}, "image": {"alt": "Left, training losses over the epochs; right, accuracies on the hold-out: a line for each network on record."}} tags=["nbval-ignore-output"]
def over_epochs(each, column):
    """A column of the records by epoch (rows) and seed (columns)."""
    table = over_seeds(each, column, "cycle")
    epochs = each[0].study.epochs if each else 0
    return table.set_axis(epochs * (table.index + 1))


losses, looks = (
    {method: over_epochs(each, column) for method, each in staged.items()}
    for column in ("loss", "OA")
)
panels = {"training loss": losses, "accuracy on the hold-out": looks}
y = ["training loss", "overall accuracy on the hold-out (%)"]
if any(staged.values()):
    convergence = curves_by_panel(panels, "epochs", y, share_y=False)
    glue("low-label-epochs-finding", ends_of(convergence.axes[1:]))
else:
    not_yet("no training in stages")

# %% [markdown]
# (robustness)=
# ## Robustness
#
# The networks trained on the clean scene with 5 % of the labels are applied to disturbed versions of it. Standardisation and PCA stay as
# they were fitted on the clean scene. The test pixels are a thousand pixels of the hold-out, drawn once for each seed and the same for both
# networks and all disturbances. Each seed also has its own random disturbance, which both networks see. There are four kinds:
#
# - *noise*: white Gaussian noise; the strength is its standard deviation relative to that of each band.
# - *dead bands*: random bands have their mean value everywhere, so that they carry no information and are no outliers; the strength is
#   the share of such bands.
# - *illumination*: every spectrum is multiplied by a factor that varies smoothly over the scene; the strength is the standard deviation of
#   the factor's logarithm, so that 0.01 is about 1 %.
# - *missing pixels*: the spectra of random pixels, possibly of the test pixel itself, are set to zero; the strength is the share of such
#   pixels.

# %% tags=["remove-input"]
wanted = studies_of(page.FIVE_PERCENT, counted, **shared)
trained = gather(wanted, records, train=train, weights=True)
Markdown("With their weights, " + on_record(wanted, trained))

# %% tags=["hide-input"]
scene = wanted[NETWORKS[0]][0].load_scene()
windows = cpdgal.Windows(scene, components=components)


def answers(record, windows):
    """Probabilities for a thousand pixels of the hold-out, and which are correct."""
    holdout = record.study.make_split(scene).holdout
    count = 200 if smoke else 1_000
    asked = np.random.default_rng(record.study.seed).permutation(holdout)[:count]
    sure = cpdgal.predict(record.network(scene), windows.batches(asked, 64)).numpy()
    return sure, sure.argmax(1) == scene.targets[asked]


# %% tags=["hide-input"]
clean = {
    method: {record.study.seed: answers(record, windows) for record in each}
    for method, each in trained.items()
}
both = sorted(set(clean["CPDGAL"]) & set(clean["ViT"]))
pairs = {
    seed: {m: r for m in NETWORKS for r in trained[m] if r.study.seed == seed}
    for seed in both
}

# %% tags=["hide-input"]
KINDS = {
    "noise": (0.2, 0.4, 0.8),
    "dead bands": (0.05, 0.1, 0.2),
    "illumination": (0.002, 0.005, 0.01),
    "missing pixels": (0.05, 0.1, 0.2),
}
if smoke:
    KINDS = {kind: strengths[-1:] for kind, strengths in KINDS.items()}


def accuracies(kind, strength):
    """Accuracy in percent by method and seed; `strength` 0 is the clean scene."""
    found = {}
    for seed, pair in pairs.items():
        worse = page.disturbed(scene, kind, strength, np.random.default_rng(seed))
        view = windows.on(worse)
        for method, record in pair.items():
            right = answers(record, view)[1] if strength else clean[method][seed][1]
            found[method, seed] = 100 * right.mean()
    return pd.Series(found, dtype=float)


# %% tags=["hide-output", "nbval-ignore-output"]
measured = {
    kind: pd.DataFrame(
        {each: accuracies(kind, each) for each in (0.0, *strengths)}
    ).T
    for kind, strengths in KINDS.items()
}
flat = [
    (kind, strength, *each, value)
    for kind, table in measured.items()
    if both
    for (strength, *each), value in table.stack([0, 1]).items()
]
glue("robustness-measured", json.dumps(flat))
pd.concat(measured, names=["kind", "strength"]).round(1)

# %% [markdown]
# The table gives overall accuracy in percent, seed by seed. A network with a higher clean accuracy can lose more of it. The comparison
# therefore uses the retained accuracy: the area under the curve of accuracy over strength, from zero to the strongest, in percent of the
# area that a constant clean accuracy would have.

# %% tags=["nbval-ignore-output"]
parts = {
    kind: {
        m: {seed: page.retained_accuracy(table[m, seed]) for seed in both}
        for m in NETWORKS
    }
    for kind, table in measured.items()
}
parts["all four, mean"] = {
    m: {seed: np.mean([parts[kind][m][seed] for kind in KINDS]) for seed in both}
    for m in NETWORKS
}
rows = {
    kind: {f"{m}: retained, %": spread(each.values()) for m, each in part.items()}
    for kind, part in parts.items()
}
pd.DataFrame(rows).T

# %% tags=["remove-input", "nbval-ignore-output"]
lines = []
for kind, part in parts.items():
    key = "robust-" + kind.replace(" ", "-") if kind in KINDS else "robustness"
    kept = better(*part.values(), ("Retained accuracy, CPDGAL", "ViT"))
    lines.append(f"- {kind}: {answer(key, kept)}")
Markdown("\n".join(lines))

# %% mystnb={"figure": {"caption": "{glue:text}`robustness-finding:s` Overall accuracy on a thousand pixels of the hold-out over the strength of four disturbances that the networks never saw in training: mean over seeds, and a band of one standard deviation where there are several."}, "image": {"alt": "Four panels, noise, dead bands, illumination and missing pixels, with accuracies over growing strength, a line for each network on record."}} tags=["nbval-ignore-output"]
strengths = ["noise / standard deviation of the band", "share of the bands"]
strengths += ["standard deviation of the log factor", "share of the pixels"]
if both:
    panels = {kind: {m: t[m] for m in NETWORKS} for kind, t in measured.items()}
    robustness = curves_by_panel(panels, strengths, "OA (%)")
    glue(
        "robustness-finding",
        ends_of(robustness.axes, "at the strongest disturbance", "{:.0f} %"),
    )
else:
    not_yet("no seed with the weights of both networks")

# %% [markdown]
# The paper shows no such measurement, so kinds and strengths are the choice of this page; others may lead to another order.
# {term}`DGFR` adds no noise at inference here ([open decision 4](../book/decisions)), so it can help against disturbances only through
# training. {term}`CM <contextualized masking>` mixes every {term}`token` with the mask token, at inference as in training (open
# decision 6), with weights from an attention that the disturbance changes too.
#
# (calibration)=
# ## Calibration
#
# Is a network's confidence calibrated? The expected calibration error ({term}`ECE`) is the mean difference between the probability of the
# predicted class and the share of correct predictions, in 15 bins of probability, on the whole hold-out; lower is better. It tends to
# fall as accuracy rises, so the table also gives the accuracy. The networks are trained on 5 % of the labels. The paper says that DGFR
# calibrates, so CPDGAL is compared with itself without DGFR, with the same masking.

# %%
five = {
    split: {
        **{method: found[method]["50 % of the pool"] for method in NETWORKS},
        **gather(
            studies_of(page.WITHOUT_DGFR, counted, split=split, **shared),
            records,
            train=train,
        ),
    }
    for split, found in (("random", random), ("block", block))
}
rows = {
    split: {
        f"{m}: {score}, %": spread(final_scores(each, score).values())
        for score in ("ECE", "OA")
        for m, each in groups.items()
    }
    for split, groups in five.items()
}
pd.DataFrame(rows).T.rename_axis("split")

# %% [markdown]
# The ECE is compared with its sign reversed, so that higher means better calibrated.

# %% tags=["remove-input"]
lines = []
for split, key in (("random", "calibration"), ("block", "calibration-block")):
    pair = ("CPDGAL", *page.WITHOUT_DGFR)
    errors = (final_scores(five[split][name], "ECE") for name in pair)
    turned = [{seed: -error for seed, error in each.items()} for each in errors]
    said = answer(key, better(*turned, pair, "points of ECE, sign reversed", 0.0))
    lines.append(f"- {split} split: {said}")
Markdown("\n".join(lines))

# %% mystnb={"figure": {"caption": "{glue:text}`reliability-finding:s` Reliability with 5 % of the labels, the paper's split, all seeds together: on the left the share of correct predictions over the probability of the predicted class, on the right the share of the pixels with that probability."}, "image": {"alt": "Left, curves of the share of correct predictions over the predicted probability beside the diagonal, one for each network on record; right, the share of pixels in each bin on a logarithmic axis."}} tags=["nbval-ignore-output"]
there = {method: each for method, each in five["random"].items() if each}
if there:
    reliability = page.reliability_diagrams(there)
    glue("reliability-finding", page.overconfidence(there))
else:
    not_yet("no network at 5 % of the labels")

# %% [markdown]
# (error-finding)=
# ### Finding errors
#
# The loop queries the pixels with the smallest {term}`margin` U(x), the highest probability minus the third highest (Section 2.5).
# Does a small margin indicate an error? The measure is the area under the ROC curve (AUROC): the share of pairs of a wrong and a
# correct prediction in which the wrong one has the smaller margin; 50 % is chance. It is computed for the networks trained on 5 % of the
# labels, on the thousand test pixels of the clean scene. Any classifier that knows something of its own doubts exceeds chance, the ViT too,
# so the second part asks what the third class adds: the AUROC of the paper's margin less that of the usual margin to the second.

# %% tags=["nbval-ignore-output"]
found = {
    method: {
        k: {
            seed: 100 * roc_auc_score(right, cpdgal.margin(sure, k))
            for seed, (sure, right) in each.items()
            if 0 < right.mean() < 1
        }
        for k in (3, 2)
    }
    for method, each in clean.items()
}
names = {3: "AUROC of the margin to the third, %", 2: "to the second, %"}
pd.DataFrame(
    {
        m: {names[k]: spread(each.values()) for k, each in margins.items()}
        for m, margins in found.items()
    }
).T

# %% tags=["remove-input", "nbval-ignore-output"]
ours = found["CPDGAL"]
pair = ("AUROC with the third class", "with the second")
finds = {
    "small margins mark errors": above(50.0, ours[3], "CPDGAL's AUROC", "%"),
    "the third class adds": better(ours[3], ours[2], pair, margin=0.0),
}
Markdown(
    f"{answer('error-finding', combined(finds))} The first part is true of any such classifier: the ViT's AUROC is "
    f"{spread(found['ViT'][3].values())} %."
)
