"""Verdicts follow their rules."""

import json
from typing import NamedTuple

import numpy as np
import pytest
import torch
from conftest import ROOT
from scipy import stats

from cpdgal import Store
from cpdgal.book import ablations, method
from cpdgal.book.common import COMPARED, GAINS, PAPER, studies_of
from cpdgal.book.feasibility import outside
from cpdgal.book.verdicts import (
    WORDS,
    Verdict,
    above,
    agrees,
    best,
    better,
    combined,
    final_scores,
    near,
    on_record,
    printed,
    rank_agreement,
    reached,
    spread,
)
from cpdgal.runner import gather
from cpdgal.study import Study


def test_spread():
    assert spread([96.0, 98.0]) == "97.00 ± 1.41"
    assert spread([96.874]) == "96.87"
    assert spread({}.values()) == "not run"


SEEDS = {0: 0.1, 1: -0.2, 2: 0.15, 3: -0.05, 4: 0.0}  # their interval is 0.17 to either side


def around(mean, seeds=5, spread=1.0):
    return {seed: mean + spread * SEEDS[seed] for seed in range(seeds)}


@pytest.mark.parametrize(
    ("measured", "margin", "word"),
    [
        (around(2.0), 0.5, "holds"),
        (around(0.2), 0.5, "holds"),
        (around(0.1), 0.5, "does not hold"),  # the interval reaches from below 0 to 0.27
        (around(0.1), 0.0, "undecided"),
        (around(0.4, spread=4), 0.5, "undecided"),
        (around(-2.0), 0.5, "does not hold"),
        (around(-2.0), 0.0, "does not hold"),
        (around(-2.0, seeds=2), 0.5, "undecided"),
        ({0: 50.0}, 0.5, "undecided"),
        ({}, 0.5, "not run here"),
    ],
)
def test_a_number_lies_above_a_threshold_or_not(measured, margin, word):
    said = above(0.0, measured, "A", margin=margin)
    assert said.word == word
    assert said.seeds == len(measured)
    assert word in WORDS
    if len(measured) >= 3:
        values = list(measured.values())
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (said.low, said.high) == pytest.approx(tuple(expected))
        assert f"{said.low:+.2f} to {said.high:+.2f}" in said.sentence
        assert said.interval == f"{said.low:+.2f} to {said.high:+.2f} (threshold {0.0:+.2f})"
        assert said.mean == pytest.approx(np.mean(values))
    elif measured:
        assert "too few seeds for an interval" in said.sentence
        assert said.interval == ""


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        (around(97.4), "holds"),
        (around(97.1), "holds"),
        (around(96.8), "undecided"),
        (around(95.0), "does not hold"),
        ({0: 90.0}, "undecided"),
        ({}, "not run here"),
    ],
)
def test_a_published_figure_is_reached_or_not(measured, word):
    said = reached(97.34, measured)
    assert said.word == word
    assert "97.34 %" in said.sentence
    assert said.threshold == pytest.approx(96.84) or not measured
    if measured:
        assert said.here == f"{spread(measured.values())} %"
        assert ("above" if np.mean(list(measured.values())) > 97.34 else "below") in said.sentence


def test_what_is_impossible_does_not_hold_whatever_is_run():
    for measured in ({}, {0: 97.0}, around(97.2)):
        said = reached(97.21, measured, impossible="It cannot be.")
        assert said.word == "does not hold"
        assert said.sentence.startswith("It cannot be.")


@pytest.mark.parametrize(
    ("left", "right", "word"),
    [
        (around(92.0), around(90.0, spread=0), "holds"),
        (around(90.0), around(90.0), "does not hold"),
        (around(90.0), around(92.0, spread=0), "does not hold"),
        ({0: 92.0, 1: 93.0, 2: 94.0}, {0: 90.0, 1: 94.0, 2: 93.5}, "undecided"),
        ({0: 92.0}, {0: 90.0}, "undecided"),
        ({0: 92.0}, {1: 90.0}, "not run here"),
        ({}, {}, "not run here"),
    ],
)
def test_one_method_is_better_or_not(left, right, word):
    assert better(left, right, ("ours", "theirs")).word == word


def test_differences_are_paired_by_seed():
    left, right = {0: 91.0, 1: 92.5, 2: 90.7, 3: 93.0}, {0: 90.0, 1: 90.5, 2: 90.4, 3: 91.0, 7: 10.0}
    test = stats.ttest_rel([left[s] for s in range(4)], [right[s] for s in range(4)])
    low, high = test.confidence_interval()
    assert f"{low:+.2f} to {high:+.2f}" in better(left, right, ("A", "B")).sentence


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ({"a": around(92), "b": around(90, spread=0), "c": around(80)}, "holds"),
        ({"a": around(92), "b": around(92, spread=0), "c": around(80)}, "does not hold"),
        ({"a": around(92), "b": around(91.6, spread=6), "c": around(80)}, "undecided"),
        ({"a": around(92), "b": {}, "c": around(80)}, "undecided"),
        ({"a": around(92), "b": {}, "c": around(95)}, "does not hold"),
        ({"a": {0: 92.0}, "b": {0: 80.0}, "c": {}}, "undecided"),
        ({"a": around(92), "b": {}, "c": {}}, "not run here"),
        ({"a": {}, "b": around(90), "c": {}}, "not run here"),
    ],
)
def test_the_paper_s_best_is_best_or_not(measured, word):
    said = best("a", measured)
    assert said.word == word
    if said.seeds:
        assert said.here.startswith(
            f"above {sum(better(measured['a'], measured[n], ('', '')).word == 'holds' for n in 'bc')} of 2"
        )


@pytest.mark.parametrize(
    ("mean", "gain", "word"),
    [
        (0.0, 0.5, "does not hold"),
        (0.0, 0.16, "undecided"),  # -0.17 to 0.17 contains the gain claimed
        (-0.02, 0.16, "does not hold"),
        (0.2, 0.16, "holds"),
        (0.0, 2.4, "does not hold"),  # no claim has to be worth more than half a point
    ],
)
def test_an_interval_that_contains_the_gain_claimed_refutes_nothing(mean, gain, word):
    assert best("a", {"a": around(90 + mean), "b": around(90, spread=0)}, gain).word == word


def test_the_gains_of_table_1_are_those_in_its_last_row():
    assert GAINS["indian_pines"] == {"OA": 0.16, "AA": 2.40, "kappa": 0.43}
    assert GAINS["salinas"] == {"OA": 0.92, "AA": 0.36, "kappa": 0.98}
    assert GAINS["botswana"] == {"OA": 0.09, "AA": 0.13, "kappa": 0.07}


def test_a_setting_that_is_planned_with_fewer_seeds_is_left_out_of_the_verdict_and_named():
    table, planned = ablations.TABLES[2], ablations.studies(range(3))[2]
    scores = {name: around(92 if name == table.best else 80, 3) for name in table.settings} | {"C10 (64, 64, 8)": {0: 99.0}}
    said = ablations.is_best(table, scores, planned)
    assert (said.word, said.here[:12]) == ("holds", "above 8 of 8")
    assert said.sentence.endswith("Left out, with fewer seeds by plan: C10 (64, 64, 8).")
    assert ablations.is_best(table, scores).word == "undecided"


@pytest.mark.parametrize(("counted", "word"), [(100.9, "holds"), (96, "holds in part"), (80, "does not hold")])
def test_a_size_agrees_or_not(counted, word):
    assert agrees(100, counted, "parameters").word == word


@pytest.mark.parametrize(
    ("mean", "word"), [(2.1, "holds"), (2.6, "undecided"), (3.0, "does not hold"), (1.0, "does not hold"), (1.6, "undecided")]
)
def test_a_figure_that_is_no_merit_is_met_from_both_sides(mean, word):
    assert near(2.14, around(mean), "EMI").word == word  # 0.17 to either side
    assert near(2.14, around(mean, seeds=2), "EMI").word == "undecided"
    assert near(2.14, {}, "EMI").word == "not run here"
    assert near(2.14, around(2.14, spread=9), "EMI").word == "undecided"  # wider than the span


@pytest.mark.parametrize(
    ("stated", "counted", "word"),
    [
        (4.7, 4.7029, "holds"),
        (4.3, 4.2499, "holds in part"),
        (4.3, 4.26, "holds"),
        (1.0, 1.3671, "holds in part"),
        (1.0, 1.51, "does not hold"),
    ],
)
def test_about_is_read_by_the_digits_printed(stated, counted, word):
    assert printed(stated, counted, "%").word == word


def test_rank_agreement_on_known_orders():
    rho, low, high = rank_agreement([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert rho == pytest.approx(1)
    assert low > 0.9
    assert rank_agreement([1, 2, 3, 4], [4, 3, 2, 1])[0] == pytest.approx(-1)
    rho, low, high = rank_agreement([1, 2, 3, 4, 5, np.nan], [2, 1, 4, 3, np.nan, 7])
    assert rho == pytest.approx(0.6)  # 1 - 6 x 4 / (4 x 15)
    assert low < 0 < high
    assert np.isnan(rank_agreement([1, 2, 3], [1, 2, 3])).all()
    assert np.isnan(rank_agreement([1, 2, 3, 4], [5, 5, 5, 5])).all()


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["holds", "holds"], "holds"),
        (["does not hold", "does not hold"], "does not hold"),
        (["holds", "does not hold"], "holds in part"),
        (["holds", "undecided"], "holds in part"),
        (["holds in part", "holds in part"], "holds in part"),
        (["holds", "not run here"], "holds in part"),
        (["does not hold", "not run here"], "does not hold"),
        (["does not hold", "undecided"], "undecided"),
        (["not run here", "not run here"], "not run here"),
    ],
)
def test_a_claim_of_several_parts(words, word):
    parts = {name: Verdict(each, f"{each}!", "Said.", seeds) for name, each, seeds in zip("ab", words, (3, 5), strict=True)}
    said = combined(parts)
    assert said.word == word
    assert said.here == f"a: {words[0]}!; b: {words[1]}!"
    assert said.seeds == 3
    assert said.sentence == f"*a*: {words[0]}. Said. *b*: {words[1]}. Said."


def test_what_is_on_record_and_what_is_missing():
    studies = {name: [Study(seed=seed) for seed in range(2)] for name in ("5", "10", "100")}
    found = {"5": [Run(Study(seed=0)), Run(Study(seed=1))], "100": [Run(Study())]}
    assert on_record(studies, found) == "3 of 6 runs are on record ([what is missing](../book/status.md))."
    assert on_record({"5": studies["5"]}, found) == "2 of 2 runs are on record."


class Run(NamedTuple):
    """As much of a record as a list needs."""

    study: Study


# A store with planted truths


def plant(folder, study: Study, accuracy: float) -> None:
    """Write the record of a study whose every look has about this OA in percent: errors are spread over all classes alike."""
    template = json.loads((ROOT / "results" / f"{Study().name}.json").read_text(encoding="utf-8"))
    n = np.array(template["confusion"]).sum(1)
    errors = np.floor(n * (1 - accuracy / 100)).astype(int)
    confusion = np.diag(n - errors) + np.roll(np.diag(errors), 1, axis=1)
    chance = (confusion.sum(0) * confusion.sum(1)).sum() / n.sum() ** 2
    right = np.trace(confusion) / n.sum()
    scores = {"OA": right, "AA": (np.diag(confusion) / n).mean(), "kappa": (right - chance) / (1 - chance)}
    looks = len(template["cycles"]["OA"])
    template["cycles"] |= {name: [float(100 * value)] * looks for name, value in scores.items()}
    template["cycles"] |= {name: [None] + [0.0] * (looks - 1) for name in ("EMI", "EMI per label")}
    template["classes"]["accuracy"] = (100 * np.diag(confusion) / n).tolist()
    template |= {"confusion": confusion.tolist(), "key": study.key, "weights": None}
    template["study"] = {**template["study"], **study.form, "checksum": template["study"]["checksum"]}
    (folder / f"{study.name}.json").write_text(json.dumps(template), encoding="utf-8")


@pytest.mark.parametrize(
    ("gain", "seeds", "word"),
    [(2.0, 5, "holds"), (0.0, 5, "does not hold"), (-2.0, 5, "does not hold"), (2.0, 1, "undecided"), (2.0, 0, "not run here")],
    ids=["better by 2 points", "equal", "worse", "one seed", "no run"],
)
def test_a_store_with_planted_truths_gives_the_planted_verdicts(tmp_path, gain, seeds, word):
    asked = studies_of({name: COMPARED[name] for name in ("CPDGAL", "ViT")}, range(5))
    for own, other in [*zip(*asked.values(), strict=True)][:seeds]:
        level = 93 + 0.2 * own.seed  # seeds differ more than their differences do
        plant(tmp_path, own, level + gain + 0.1 * (own.seed % 2))
        plant(tmp_path, other, level)
    groups = gather(asked, Store(tmp_path, packaged=False))
    said = better(*(final_scores(groups[name], "OA", 5) for name in asked), tuple(asked))
    assert (said.word, said.seeds) == (word, seeds)


def test_an_impossible_kappa_does_not_hold_however_high_it_is_here(tmp_path):
    for seed in range(3):
        plant(tmp_path, Study(seed=seed), 99.0 + 0.1 * seed)
    records = gather({"CPDGAL": [Study(seed=seed) for seed in range(5)]}, Store(tmp_path, packaged=False))["CPDGAL"]
    published = PAPER["table_1"]["indian_pines"]["cpdgal"]
    words = {
        score: reached(figure, final_scores(records, score, 5), score, outside("indian_pines", score)).word
        for score, figure in zip(("OA", "AA", "kappa"), published, strict=True)
    }
    assert words == {"OA": "holds", "AA": "holds", "kappa": "does not hold"}


def test_an_inert_mask_is_told_from_one_that_works():
    gamma = {"gamma": 0.5, "gamma_between": 0.01}
    inert = {seed: {"mask_between": 0.0003, "mask_mean": 0.72, "changed_by_constant_mask": 0.0, **gamma} for seed in range(3)}
    works = {
        s: {"mask_between": 0.05 + s / 1000, "mask_mean": 0.5, "changed_by_constant_mask": 0.1 + s / 100, **gamma}
        for s in range(3)
    }
    assert method.sample_specific(inert).sentence.endswith("between windows of 2.00 ± 0.00 % of its mean.")
    assert method.sample_specific(inert).word == "does not hold"
    assert method.sample_specific(works).word == "holds"
    assert method.sample_specific({0: works[0]}).word == "undecided"
    assert method.sample_specific({}).word == "not run here"


def test_a_schedule_that_is_the_same_at_every_step_tunes_nothing():
    line = np.linspace(0.99, 0.5, 100)
    assert method.tunes_schedule({seed: np.full(100, 0.99) for seed in range(3)}).word == "does not hold"
    assert method.tunes_schedule({seed: line - seed / 100 for seed in range(3)}).word == "holds"
    assert method.tunes_schedule({0: line}).word == "undecided"


def test_a_mask_that_falls_with_importance_occludes_nothing_salient():
    importance = torch.rand(49, generator=torch.Generator().manual_seed(0))
    assert method.occludes(importance, (2 * (0.5 - importance)).sigmoid()).word == "does not hold"
    assert method.occludes(importance, importance).word == "holds"
