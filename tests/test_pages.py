"""The pages' backend: runs, tables, verdicts and figures, against what can be written out."""

import runpy
import sys
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from types import MappingProxyType, SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import SVG
from matplotlib.colors import to_rgb
from scipy.stats import ttest_1samp
from small import SMALL

import cpdgal
from cpdgal import Scene, plots
from cpdgal.book import (
    ablations,
    common,
    comparison,
    embeddings,
    entropy,
    leakage_audit,
    low_label,
    method,
    model_improvement,
    open_decisions,
    query_strategies,
    quickstart,
)
from cpdgal.book.ablations import TABLES
from cpdgal.book.comparison import CUT, TABLE_1
from cpdgal.methods import size
from cpdgal.metrics import entropy as pixel_entropy
from cpdgal.metrics import entropy_histogram
from cpdgal.peers import PEERS
from cpdgal.study import Study


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_tables_are_the_paper_s():
    """Every table has one figure a setting, its best is the highest, and its studies can be built."""
    assert list(TABLES) == [2, 3, 4, 5, 6]
    for table in TABLES.values():
        assert len(table.settings) == len(table.published)
        assert list(table.settings)[int(np.argmax(table.published))] == table.best
        studies = common.studies_of(table.settings, [0, 1], profile="ablation")
        assert [[study.seed for study in each] for each in studies.values()] == [[0, 1]] * len(table.settings)
        assert len({study.key for each in studies.values() for study in each}) == 2 * len(table.settings)
    ours = {common.studies_of(TABLES[n].settings, [0], profile="ablation")[TABLES[n].best][0] for n in (2, 4, 5, 6)}
    assert len(ours) == 1  # the same study is "ours" in all of them


def looks(method, seed, *accuracies, epochs=10):
    """A record with so many looks at the hold-out."""
    study = cpdgal.Study(method=method, seed=seed, acquired=0.0, cycles=len(accuracies) - 1, epochs=epochs)
    cycles = pd.DataFrame({"cycle": range(len(accuracies)), "OA": accuracies, "labels": 100 + 2 * seed, "share": 1.0 + seed})
    return cpdgal.Record(study, cycles, *[None] * 6)


def reading(seed, *accuracies):
    study = cpdgal.Study(split="validation", seed=seed)
    cycles = pd.DataFrame({"cycle": range(len(accuracies)), "OA": accuracies, "labels": 1, "share": 1.0})
    return cpdgal.Record(study, cycles, *[None] * 6)


def test_readings_follow_the_rule_that_was_written_down():
    """By the mean of the last five looks, seed by seed, over all five seeds; at least a point, and clear."""
    seeds = open_decisions.READING_SEEDS
    assert [study.seed for study in open_decisions.readings()["bundle"]] == [101, 102, 103, 104, 105] == list(seeds)
    default = {seed: 80.0 + seed % 100 for seed in seeds}
    gains = {
        "60 epochs": [1.4, 1.5, 1.6, 1.5, 1.5],  # clear
        "20 epochs": [0.8, 0.9, 0.9, 0.8, 0.9],  # clear, but less than a point
        "bundle": [9.0, -4.0, 8.0, -3.0, 2.0],  # large, but not clear
        "Adam's state kept": [3.0, 3.1, 3.0, 3.1],  # a seed is missing
    }
    groups = {"default": [reading(seed, 0.0, *[oa] * 5) for seed, oa in default.items()], "sigmoid schedule": []}
    for name, each in gains.items():
        looks_at = [
            reading(s, 99.0, *[default[s] + g + step for step in (-2, 2, 0, 1, -1)]) for s, g in zip(seeds, each, strict=False)
        ]
        groups[name] = looks_at
    table = open_decisions.judged_readings(groups)
    assert table["by the rule"].to_dict() == {
        "default": "",
        "sigmoid schedule": "",
        "60 epochs": "better",
        "20 epochs": "not better",
        "bundle": "not better",
        "Adam's state kept": "open: 4 of 5 seeds",
    }
    assert table.loc["60 epochs", "gain, points"] == "+1.50"
    assert table.loc["default", "OA, last five evaluations, %"] == "83.00"


def test_a_caption_tells_how_far_alternatives_change_the_accuracy():
    changes = pd.DataFrame({101: {"1: a": 1.0, "2: b": -2.0, "3: c": 0.5}, 102: {"1: a": 2.0, "2: b": -3.0}})
    said = open_decisions.largest_changes(changes)
    assert said.startswith("2 of 3 alternatives have a higher mean than the default")
    assert said.endswith("from -2.50 points (2: b) to +1.50 points (1: a).")


def test_means_are_over_the_seeds_that_every_group_has():
    groups = [[looks("vit", 0, 40.0), looks("vit", 1, 50.0)], [looks("vit", 2, 1.0), looks("vit", 0, 60.0)]]
    assert low_label.mean_final_scores(groups) == {0: 50.0}
    assert low_label.mean_final_scores([]) == low_label.mean_final_scores([[], groups[0]]) == {}


def test_the_sooner_one_needs_fewer_epochs_to_the_level_of_both():
    ours = [looks("cpdgal", 0, 50.0, 89.0, 88.0, 90.0), looks("cpdgal", 1, 80.0, 70.0, 60.0)]
    twin = [looks("vit", 0, 50.0, 70.0, 92.0, 91.0), looks("vit", 1, 10.0, 58.9, 65.0), looks("vit", 2, 1.0)]
    said = low_label.faster(ours, twin, ("ours", "twin"))
    assert "+10.00, +20.00" in said.sentence  # 89 after 20 and 30 epochs; 59 after 10 and 30
    assert said.here == "+15.00 epochs saved"
    assert said.word == "undecided"
    thrice = [[replace(run[0], study=run[0].study.but(seed=seed)) for seed in range(3)] for run in (ours, twin)]
    assert low_label.faster(*thrice, ("ours", "twin")).word == "holds"
    assert low_label.faster(*thrice[::-1], ("twin", "ours")).word == "does not hold"
    assert low_label.epochs_to_level(ours, twin) == ({0: 20, 1: 10}, {0: 30, 1: 30})
    assert low_label.faster([], twin, ("ours", "twin")).word == "not run here"


def test_settings_and_labels_stand_beside_their_accuracies():
    ours, twin = {"few": [looks("cpdgal", 0, 50.0), looks("cpdgal", 1, 52.0)], "more": []}, {"few": [], "more": []}
    table = low_label.table_by_setting({"ours": ours, "twin": twin})
    assert table.loc["few"].tolist() == ["101", "1.50", "51.00 ± 1.41", "not run"]
    assert table.loc["more"].tolist() == ["", "", "not run", "not run"]
    curve = low_label.accuracy_over_labels(list(ours.values()))
    assert curve.to_dict("index") == {101.0: {0: 50.0, 1: 52.0}}
    assert low_label.accuracy_over_labels([]).empty


def test_what_counts_as_extreme():
    assert low_label.EXTREME == (
        "1 of each class",
        "2 of each class",
        "3 of each class",
        "5 of each class",
        "5 % of the pool",
        "10 % of the pool",
        "20 % of the pool",
    )
    assert set(low_label.FEW_LABELS) - set(low_label.EXTREME) == {"10 of each class", "30 % of the pool", "50 % of the pool"}


def test_what_is_kept_is_an_area():
    assert low_label.retained_accuracy(pd.Series({0.0: 80.0, 0.5: 80.0})) == 100
    assert low_label.retained_accuracy(pd.Series({0.0: 80.0, 0.1: 40.0, 0.4: 40.0})) == pytest.approx(
        100 * (6 + 12) / (80 * 0.4)
    )


def cycled(seed, gains, lowest=None, upper=None):
    """A record with an EMI in every cycle from the first on, or with so many pixels in the lowest and the last of the entropy
    bins of a pool that loses ten pixels a cycle; the others lie in the second bin."""
    cycles = pd.DataFrame({"cycle": range(len(gains) + 1), "EMI": [np.nan, *gains]})
    entropy = np.zeros((len(gains) + 1, 10), dtype=int)
    if lowest is not None:
        entropy[:, 0], entropy[:, 9] = lowest, upper
        entropy[:, 1] = 1000 - 10 * np.arange(len(entropy)) - entropy.sum(1)
    return cpdgal.Record(cpdgal.Study(seed=seed), cycles, *[None] * 3, entropy, None, None)


def test_emi_over_some_cycles():
    runs = [cycled(0, [0.04, 0.02, 0.03]), cycled(1, [0.01, np.nan, 0.02]), cycled(2, [0.05])]
    assert model_improvement.emi(runs, 1, 3) == {0: pytest.approx(3)}  # seed 1 was not scored, seed 2 has too few cycles
    assert model_improvement.emi(runs, 1, 1) == {0: pytest.approx(4), 1: pytest.approx(1), 2: pytest.approx(5)}
    assert model_improvement.mean_emi(runs, 1, 1) == "+0.0333"
    assert model_improvement.mean_emi(runs[:1], 1, 30) == "not run"
    long = [cycled(0, [0.04] * 20 + [-0.01] * 10)]
    said = "Mean EMI of the first cycle and of cycles 21 to 30: 1 %: +0.0400 and -0.0100; 2 %: +0.0333 and not run."
    assert model_improvement.first_and_last({"1 %": long, "2 %": runs}) == said
    assert model_improvement.emi(runs, 1, 3, np.std) == {0: pytest.approx((2 / 3) ** 0.5)}


@pytest.mark.parametrize(
    ("first", "word"),
    [
        ((0.0215, 0.0470, 0.0345), "holds"),
        ((0.0215, 0.0410, 0.0450), "holds in part"),
        ((0.0020, 0.0100, 0.0150), "does not hold"),
    ],
)
def test_the_first_emi_is_the_paper_s_or_not(first, word):
    groups = {
        name: [cycled(seed, [value + seed / 1e4]) for seed in range(3)]
        for name, value in zip(model_improvement.FIRST_EMI, first, strict=True)
    }
    said = model_improvement.emi_first(groups)
    assert said.word == word
    assert said.here.startswith(f"0.5 %: {100 * first[0] + 0.01:+.2f} points; 1 %: ")
    assert model_improvement.emi_first({name: [] for name in groups}).word == "not run here"


def swinging(seed, *spans):
    """A record whose EMI goes up and down by so much over so many cycles."""
    return cycled(seed, [size * (-1) ** i for count, size in spans for i in range(count)])


def test_emi_declines_stabilises_and_swings_less_at_larger_budgets():
    falling = [cycled(seed, [0.03 + seed / 100] * 5 + [0.01] * 25) for seed in range(3)]
    assert model_improvement.emi_declines({"2 %": falling}).word == "holds"
    assert "+2.00, +3.00, +4.00" in model_improvement.emi_declines({"2 %": falling}).sentence
    flat = [cycled(seed, [0.005 - seed / 1000] * 5 + [0.01] * 25) for seed in range(1, 4)]
    assert model_improvement.emi_declines({"2 %": falling, "1 %": []}).word == "holds in part"
    assert model_improvement.emi_declines({"2 %": flat}).word == "does not hold"
    assert model_improvement.emi_declines({"2 %": flat[:1]}).word == "undecided"
    assert model_improvement.emi_declines({"2 %": [cycled(0, [0.03, 0.01])]}).word == "not run here"  # too few cycles

    calm = [swinging(seed, (20, 0.03 + seed / 1000), (10, 0.01)) for seed in range(3)]
    late = [swinging(seed, (10, 0.05 + seed / 1000), (10, 0.01), (10, 0.02)) for seed in range(3)]
    assert model_improvement.emi_stabilises(calm).word == "holds"
    assert model_improvement.emi_stabilises(late).word == "does not hold"  # calmer than all before, not than the ten before
    assert model_improvement.emi_stabilises(calm[:2]).word == "undecided"
    assert model_improvement.emi_stabilises([]).word == "not run here"

    groups = {"0.5 %": [swinging(seed, (30, 0.02 + seed / 1000)) for seed in range(3)]}
    groups["1 %"] = [swinging(seed, (30, 0.01 + seed / 1000)) for seed in range(3)]
    groups["2 %"] = [swinging(seed, (30, 0.001)) for seed in range(3)]
    assert model_improvement.budget_tradeoff(groups).word == "holds"
    wild = [swinging(seed, (30, 0.1)) for seed in range(3)]
    assert model_improvement.budget_tradeoff({**groups, "2 %": wild}).word == "does not hold"


def test_the_sentences_on_single_budgets_of_fig_6():
    as_told = [cycled(s, [0.05 + s / 1000, *[0.005] * 5, 0.02 + s / 1000, *[0.003] * 3, *[0.001] * 20]) for s in range(3)]
    said = model_improvement.emi_small(as_told)
    assert {name: part.word for name, part in said.parts.items()} == dict.fromkeys(("peak", "spike", "threshold"), "holds")
    flat = [cycled(seed, [0.002] * 10 + [0.005 - seed / 10000] * 20) for seed in range(3)]
    words = {name: part.word for name, part in model_improvement.emi_small(flat).parts.items()}
    assert words == {"peak": "does not hold", "spike": "does not hold", "threshold": "does not hold"}
    assert model_improvement.emi_small([]).word == "not run here"

    around = [swinging(seed, (1, 0.1), (3, 0.01), (6, 0.03 + seed / 1000), (20, 0.01)) for seed in range(3)]
    assert model_improvement.emi_middle(around).word == "holds"
    late = [swinging(seed, (2, 0.1), (8, 0.01), (20, 0.03 + seed / 1000)) for seed in range(3)]
    assert model_improvement.emi_middle(late).parts["fluctuation"].word == "does not hold"
    assert model_improvement.emi_middle(around[:2]).word == "undecided"


def test_the_sentences_on_single_budgets_of_fig_7():
    none = [0.0] * 30
    shrinking = [cycled(seed, none, 500 + seed - 10 * np.arange(31), 0) for seed in range(3)]
    steady = [cycled(seed, none, 600 + seed, 0) for seed in range(3)]
    assert entropy.entropy_middle({"0.5 %": steady, "1 %": shrinking}).word == "holds"
    assert entropy.entropy_middle({"0.5 %": shrinking, "1 %": steady}).word == "does not hold"
    assert entropy.entropy_middle({"0.5 %": [], "1 %": shrinking}).word == "holds in part"
    assert entropy.little_ambiguity([cycled(seed, none, 500, seed) for seed in range(3)]).word == "holds"
    assert entropy.little_ambiguity([cycled(seed, none, 500, 100 + seed) for seed in range(3)]).word == "does not hold"
    assert entropy.little_ambiguity([cycled(0, none, 500, 0)]).word == "undecided"


def test_entropy_over_cycles_by_its_rules():
    none = [0.0] * 30
    sure = [cycled(seed, none, np.minimum(100 + seed + 40 * np.arange(31), 700), 600 - 20 * np.arange(31)) for seed in range(3)]
    assert entropy.in_bins(sure[0], entropy.LOWEST)[:2].tolist() == [10, pytest.approx(100 * 140 / 990)]
    assert entropy.entropy_start(sure).word == "holds"
    assert entropy.entropy_start([cycled(seed, none, 500, 400 + seed) for seed in range(3)]).word == "does not hold"
    assert entropy.entropy_start(sure[:2]).word == "undecided"
    assert entropy.entropy_shifts({"2 %": sure}).word == "holds"
    rising = [cycled(seed, none, 100, seed + 10 * np.arange(31)) for seed in range(3)]
    assert entropy.entropy_shifts({"2 %": rising}).word == "does not hold"
    assert entropy.entropy_shifts({"2 %": sure, "1 %": []}).word == "holds in part"
    assert entropy.entropy_persists({"2 %": sure}).word == "holds"
    assert entropy.entropy_persists({"2 %": [cycled(seed, none, 9, seed) for seed in range(3)]}).word == "does not hold"
    assert entropy.entropy_persists({"2 %": [cycled(0, none, 9, 500)]}).word == "undecided"
    assert entropy.entropy_persists({"2 %": [cycled(0, [0.0], 9, 1)]}).word == "not run here"


@pytest.mark.parametrize(("pixels", "word"), [(510, "holds"), (400, "does not hold")])
def test_pixels_gather_in_the_lowest_bin_or_not(pixels, word):
    runs = [cycled(seed, [0.0] * 30, pixels + seed, 0) for seed in range(3)]
    said = entropy.gathers_in_lowest_bin(runs, 0, 30, 50)
    assert said.word == word
    assert said.here == f"{(pixels + 1) / 10:.2f} %"  # least in the first cycle, of 1000 pixels
    assert entropy.gathers_in_lowest_bin([cycled(0, [0.0] * 5, pixels, 0)], 0, 30, 50).word == "not run here"


def test_a_map_is_lighter_in_number_and_in_share():
    few, many = ([cycled(seed, [0.0] * 30, count + seed * by, 0) for seed in range(3)] for count, by in ((100, 0), (300, 1)))
    assert entropy.entropy_lighter({"0.5 %": many, "2 %": few}).word == "holds"
    assert "mean +201.00 pixels" in entropy.entropy_lighter({"0.5 %": many, "2 %": few}).sentence
    assert entropy.entropy_lighter({"0.5 %": few, "2 %": many}).word == "does not hold"
    assert entropy.entropy_lighter({"0.5 %": few[:1], "2 %": many[:1]}).word == "undecided"
    assert entropy.entropy_lighter({"0.5 %": [], "2 %": many}).word == "not run here"


def test_budgets_share_all_but_what_a_cycle_asks_for():
    studies = common.studies_of(common.BUDGETS, [0, 1])
    assert studies["2 %"] == [cpdgal.Study(), cpdgal.Study(seed=1)]  # the reference
    assert studies["0.5 %"][1].changes == {"acquired": 0.005}


def test_more_separated_needs_both_measures():
    def scores(silhouette, purity):
        values = {"silhouette, hundredths": silhouette, "purity, %": purity, "linear probe, %": 0.0}
        return {seed: {name: value + seed / 10 for name, value in values.items()} for seed in range(3)}

    apart, mixed = scores(40.0, 95.0), {0: scores(20.0, 80.0)[0], 1: scores(21.0, 79.0)[1], 2: scores(20.5, 80.0)[2]}
    assert embeddings.more_separated(apart, mixed, ("a", "b")).word == "holds"
    assert embeddings.more_separated(mixed, apart, ("b", "a")).word == "does not hold"
    assert embeddings.more_separated(scores(40.0, 70.0), mixed, ("a", "b")).word == "holds in part"
    assert embeddings.more_separated({}, mixed, ("a", "b")).word == "not run here"


@dataclass(frozen=True)
class Run:
    """As much of a record as a table needs."""

    study: Study
    final: dict[str, float]
    classes: pd.DataFrame | None = None
    provenance: dict | None = None


def ended(table, **accuracies):
    """Records of settings by their accuracy at every seed from 0 up."""
    return {
        name: [Run(Study(seed=seed), {"OA": each}) for seed, each in enumerate(accuracies.get(f"at_{name}", []))]
        for name in table.settings
    }


def test_a_table_s_settings_against_the_paper_s_best():
    table = TABLES[5]  # T: 5, 10, 100, 500, 1000
    changes = ablations.changes_against_best(table, ended(table, at_5=[90.0, 91.0, 10.0], at_100=[92.0, 94.0]))
    assert changes.here["5"] == pytest.approx(-2.5)
    assert changes.paper["5"] == pytest.approx(98.20 - 98.94)
    assert (changes.here["100"], changes.paper["100"]) == (0, 0)
    assert changes.here[["10", "500", "1000"]].isna().all()
    assert ablations.changes_against_best(table, ended(table, at_5=[90.0])).here.isna().all()


def test_the_agreement_of_a_table_in_a_sentence():
    table = TABLES[5]
    same = ended(table, **{f"at_{name}": [each] for name, each in zip(table.settings, table.published, strict=True)})
    assert "is +1.00" in ablations.order_sentence(table, same)
    assert "5 settings" in ablations.order_sentence(table, same)
    assert "at least four settings" in ablations.order_sentence(table, ended(table, at_5=[90.0]))


def test_a_caption_tells_which_settings_are_above_the_paper_s_best():
    table = TABLES[5]  # 100 is the paper's best
    said = ablations.finding(table, ended(table, at_5=[93.0, 91.0], at_10=[80.0], at_500=[93.0], at_100=[91.0, 90.0]))
    assert said.startswith("2 of 3 other settings")
    assert said.endswith("500, at a difference of +2.00 points.")
    assert ablations.finding(table, ended(table, at_5=[90.0])).startswith("No comparison yet")
    changes = pd.DataFrame({0: {"CM": 1.0, "DGFR": -2.0, "both": np.nan}, 1: {"CM": 2.0}})
    assert ablations.differences(changes) == "Mean differences here, in points: CM +1.50, DGFR -2.00."
    assert "No difference" in ablations.differences(changes.loc[["both"]])


def ended_peers(cut=MappingProxyType({}), **accuracies):
    """Groups by title of a run a value, its OA, with AA and kappa a point and two points below; `cut` by method, as `CUT`."""
    groups = {peer.title: [] for peer in PEERS.values()} | {"CPDGAL": []}
    for name, values in accuracies.items():
        title = PEERS[name].title if name in PEERS else "CPDGAL"
        for seed, value in enumerate(values):
            scores = pd.Series({"labels": 512, "share": 5.0, "OA": value, "AA": value - 1, "kappa": value - 2})
            study = Study(method=name, seed=seed, **cut.get(name, {}))
            groups[title].append(Run(study, scores, provenance={"seconds": [60.0 * (seed + 1)]}))
    return groups


@pytest.mark.parametrize(
    ("ours", "word"),
    [
        ([95.0, 95.1, 95.2], "holds"),
        ([90.0, 90.1, 90.2], "does not hold"),
        ([91.0, 89.9, 95.0], "undecided"),
        ([95.0], "undecided"),
        ([], "not run here"),
    ],
)
def test_all_peers_are_outperformed_or_not(ours, word, monkeypatch):
    monkeypatch.setattr(comparison, "PEERS", {name: PEERS[name] for name in ("ssftt", "sprn")})
    groups = ended_peers(cpdgal=ours, ssftt=[90.0, 90.1, 90.2], sprn=[80.0, 80.0, 80.0])
    said = comparison.outperforms(groups)
    assert said.word == word
    assert said.here.count("of 2") == 3 * bool(ours)  # OA, AA and kappa


def test_a_cut_recipe_is_no_evidence():
    accuracies = {name: [scores[0]] * 3 for name, scores in TABLE_1.items()} | {"dctn": [20.0] * 3, "datn": [99.0] * 3}
    groups = ended_peers(CUT, cpdgal=[98.0, 98.1, 98.2], **accuracies)
    assert not {"DCTN", "DATN", "SSAN"} & comparison.uncut(groups).keys()
    verdict = comparison.outperforms(groups)
    assert verdict.word == "undecided"  # what was cut may be better, whole
    assert verdict.here.startswith(f"OA: above 7 of {len(PEERS) - 1}")
    assert "is +1.00 (" in comparison.order_sentence(groups, comparison.published_scores(), "the paper's order")
    assert comparison.outperforms(ended_peers(CUT, cpdgal=[98.0], dctn=[20.0])).word == "not run here"


def test_labels_are_counted_to_the_level_of_both():
    ours, chance = looks("cpdgal", 0, 50.0, 89.0, 90.0), looks("cpdgal", 0, 50.0, 70.0, 91.0)
    for run in (ours, chance):
        run.cycles["labels"] = [10, 20, 30]
    assert common.to_level([ours], [chance]) == ({0: 20}, {0: 30})  # both within a point of 90
    assert common.to_level([], [chance]) == ({}, {})


def test_classifiers_by_place_beside_table_1():
    def ended(*values):
        return [Run(Study(seed=seed), pd.Series({"OA": value, "labels": 144.0})) for seed, value in enumerate(values)]

    said = comparison.below_place("botswana", ended(99.3, 99.5))
    assert said.startswith(
        "On Botswana, with 144 labels, as many as CPDGAL's, row and column alone reach 99.40 ± 0.14 % over 2"
    )
    assert "seeds: 13 of Table 1's 13 methods" in said
    assert "CPDGAL" in said
    assert "0 of Table 1's 13 methods report less." in comparison.below_place("salinas", ended(50.0))
    assert "no run" in comparison.below_place("salinas", [])


def test_folds_are_judged_together():
    studies = common.by_folds({"a": {"method": "coordinates"}}, [0, 1], split="folds", gap=6)["a"]
    assert [(study.seed, study.fold) for study in studies] == [(seed, fold) for seed in (0, 1) for fold in range(4)]
    confusions = [np.array([[8, 2], [1, 9]]), np.array([[0, 0], [5, 5]]), np.eye(2, dtype=int), np.eye(2, dtype=int)]
    records = [SimpleNamespace(study=study, confusion=each) for study, each in zip(studies[:4], confusions, strict=True)]
    assert common.pooled(records) == {0: pytest.approx(100 * 26 / 34)}
    assert common.pooled(records, "AA") == {0: pytest.approx(50 * (10 / 12 + 16 / 22))}
    assert common.pooled(records[:3]) == {}  # a fold is missing


def test_table_1_stands_beside_the_papers():
    table = comparison.score_table(ended_peers(ssftt=[90.0, 92.0], cpdgal=[95.0]))
    expected = {"seeds": 2, "labels": "512", "OA, %": "91.00 ± 1.41", "paper's OA": "93.15", "AA, %": "90.00 ± 1.41"}
    assert table.loc["SSFTT", list(expected)].to_dict() == expected
    paper = ["paper's OA", "paper's AA", "paper's kappa"]
    assert table.loc["CPDGAL", ["OA, %", *paper]].tolist() == ["95.00", "97.34", "96.74", "97.21"]
    assert table.loc["SPRN", ["labels", "OA, %", "paper's OA", "seeds"]].tolist() == ["", "not run", "90.84", 0]
    assert table.loc["SSAN", "paper's OA"] == ""
    assert "budget-capped at" not in table  # nothing was cut
    assert not set(paper) & set(comparison.score_table(ended_peers(cpdgal=[95.0]), paper=False))
    assert comparison.score_table(ended_peers(CUT, dctn=[20.0])).loc["DCTN", "budget-capped at"] == "15 of 200 epochs"
    assert comparison.score_table({}).empty


def test_an_average_says_over_how_many_classes_it_is():
    full, lacking = np.diag([3, 2, 1]), np.diag([3, 2, 0])
    groups = {"A": [SimpleNamespace(confusion=full), SimpleNamespace(confusion=lacking)], "B": []}
    assert comparison.tested_classes(groups) == "AA is the mean over the classes that have test pixels, 2 to 3 of 3."
    assert comparison.tested_classes({"A": groups["A"][:1]}) == "AA is the mean over the classes that have test pixels, 3 of 3."
    assert comparison.tested_classes({"A": []}) == "No run is on record yet."


def trained(loss, accuracy, seed=0):
    """As much of a record as a training's length is judged by."""
    cycles = pd.DataFrame({"loss": loss, "OA": accuracy})
    return SimpleNamespace(study=Study(seed=seed), cycles=cycles, entropy=np.tile([9, 1, *[0] * 8], (len(loss), 1)))


def test_a_training_that_broke_down_is_told_from_losses_that_are_high_or_low():
    loss = np.full(31, 0.02)
    loss[[3, 29]] = 0.9, 0.5
    record = trained(loss, [*[90.0] * 29, 50.0, 90.0])
    assert open_decisions.broken(record).to_numpy().nonzero()[0].tolist() == [3, 29]
    assert open_decisions.unbroken(record) == 90.0
    assert not open_decisions.broken(trained(np.full(31, 0.2), [90.0] * 31)).any()  # high throughout: none broke down
    assert not open_decisions.broken(trained(np.where(np.arange(31) == 5, 0.05, 0.0001), [90.0] * 31)).any()  # a low leap
    table = open_decisions.length_table({"60 epochs": [record]})
    assert table.loc["60 epochs", "broken, cycles 11 to 30"] == "1 of 20"
    assert table.loc["60 epochs", "loss, thousandths"] == "20.00"
    assert table.loc["60 epochs", "at the end, %"] == "6.00"  # nine tenths at 5 %, one at 15 %


def test_a_cut_recipe_is_told():
    def told(**values):
        return comparison.cuts([Run(Study(**values), {})])

    assert told(method="dctn", epochs=15) == "15 of 200 epochs"
    assert told(method="ssan", components=30) == "30 components for its raw bands"
    assert told(method="ssan", components=30, epochs=10) == "10 of 100 epochs, 30 components for its raw bands"
    assert told(method="ssftt") == told(method="cpdgal", epochs=1) == comparison.cuts([]) == ""


def test_contenders_are_all_peers_on_the_same_labels():
    plain, capped = (comparison.contenders([0, 1], capped=capped, split="block") for capped in (False, True))
    assert [*plain] == [*capped] == [*(peer.title for peer in PEERS.values()), "CPDGAL, no loop", "ViT, no loop"]
    for name, peer in PEERS.items():
        assert plain[peer.title] == [Study(method=name, seed=seed, split="block") for seed in (0, 1)]
        assert capped[peer.title][1].changes == CUT.get(name, {})
    assert {each.epochs for each in comparison.contenders([0], profile="smoke")["DCTN"]} == {1}
    labels = {(s.cycles, s.initial, s.stratified, s.pool) for each in capped.values() for s in each}
    assert labels == {(0, 0.5, True, 0.1)}


def test_the_papers_order_is_compared_with_ours():
    first = {name: [scores[0]] for name, scores in TABLE_1.items()}
    backwards = {name: [-value] for name, (value,) in first.items()}
    for accuracies, said in (({**first, "cpdgal": [99.0]}, ("+1.00", "13")), (backwards, ("-1.00", "12"))):
        sentence = comparison.order_sentence(ended_peers(**accuracies), comparison.published_scores(), "the paper's order")
        assert f"with the paper's order is {said[0]} (" in sentence
        assert f"{said[1]} methods)" in sentence
    few = comparison.order_sentence(ended_peers(ssftt=[1.0]), comparison.published_scores(), "the paper's order")
    assert few == "A rank correlation with the paper's order needs runs of at least four methods."


def test_what_methods_weigh_and_cost(tmp_path):
    store = cpdgal.Store(tmp_path, packaged=False)
    assert comparison.measured_inference(store).empty
    (tmp_path / "inference.csv").write_text("# a machine\nmethod,pixels a second,MiB\ncpdgal,900,60\nssftt,100,30\n")
    table = comparison.costs(ended_peers(ssftt=[90.0, 92.0]), comparison.measured_inference(store))
    assert table.loc["SSFTT", ["OA, %", "minutes", "pixels a second", "MiB"]].tolist() == [91.0, 1.5, 100.0, 30.0]
    assert table.loc["SSFTT", ["parameters", "paper, millions"]].tolist() == [153_224, 0.95]
    assert table.loc["CPDGAL", ["parameters", "paper, millions", "pixels a second"]].tolist() == [87_605, 0.09, 900.0]
    assert table.loc["SPRN", ["OA, %", "minutes", "pixels a second"]].isna().all()
    assert table.loc["CPDGAL", "multiply-adds, millions"] == pytest.approx(size("cpdgal").multiply_adds / 1e6)
    assert comparison.costs(ended_peers(), pd.DataFrame())["parameters"].notna().all()


def test_measured_rows_stay_until_another_machine_measures(tmp_path, monkeypatch):
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "inference.py"))
    write = benchmark["write"]
    monkeypatch.setitem(write.__globals__, "RESULTS", tmp_path / "inference.csv")
    store = cpdgal.Store(tmp_path, packaged=False)
    for name, speed in (("cpdgal", 900.0), ("ssan", 4.0), ("cpdgal", 1000.0)):
        write(name, "one machine", {"pixels a second": speed, "built first: MiB": None})
    kept = comparison.measured_inference(store)
    assert kept["pixels a second"].to_dict() == {"ssan": 4.0, "cpdgal": 1000.0}
    assert kept["built first: MiB"].isna().all()
    write("sprn", "another machine", {"pixels a second": 7.0, "built first: MiB": 3.0})
    assert comparison.measured_inference(store)["pixels a second"].to_dict() == {"sprn": 7.0}
    assert [path.name for path in tmp_path.iterdir()] == ["inference.csv"]


def test_captions_of_the_comparison_tell_the_best_the_equal_and_the_cheap():
    near = {"CPDGAL": ended_peers(cpdgal=[95.0, 96.0])["CPDGAL"], "SSFTT": ended_peers(ssftt=[95.0])["SSFTT"], "ViT": []}
    far = {"CPDGAL": ended_peers(cpdgal=[30.0])["CPDGAL"], "SSFTT": ended_peers(ssftt=[40.0])["SSFTT"]}
    said = "Highest mean accuracy: random, CPDGAL (95.50 %); blocks, SSFTT (40.00 %)."
    assert comparison.highest_by_split({"random": near, "blocks": far}) == said
    assert comparison.highest_by_split({"random": {"CPDGAL": []}}) == "No run is on record yet."
    maps = {"CPDGAL": np.array([[1, 2], [3, 4]]), "ViT": np.array([[1, 2], [3, 3]])}
    assert comparison.equal_pixels(maps) == "CPDGAL and ViT predict the same class for 75 % of the pixels."
    assert comparison.equal_pixels({"CPDGAL": maps["CPDGAL"]}) == ""
    table = pd.DataFrame({"OA, %": [90.0, 95.0, 80.0], "parameters": [10.0, 20.0, 1.0], "minutes": [5.0, 1.0, 1.0]})
    table.index = pd.Index(["CPDGAL", "SPRN", "SST"])
    assert comparison.cheaper_and_better(table).endswith("with fewer parameters: none; in less time: SPRN.")
    assert comparison.cheaper_and_better(table.drop("CPDGAL")).startswith("CPDGAL has no run")


def test_few_blocks_are_compared_on_the_seeds_that_all_have():
    groups = {**ended_peers(cpdgal=[50.0], ssftt=[30.0, 60.0, 90.0]), "not run": []}
    shared = common.on_shared_seeds(groups)
    assert [record.final.OA for record in shared["SSFTT"]] == [30.0]
    assert [record.final.OA for record in shared["CPDGAL"]] == [50.0]
    assert shared["not run"] == []
    apart = {"CPDGAL": groups["CPDGAL"], "SSFTT": groups["SSFTT"][1:]}
    assert common.on_shared_seeds(apart) == apart  # nothing shared: all, rather than none
    assert common.on_shared_seeds({"CPDGAL": []}) == {"CPDGAL": []}


def test_the_best_of_the_peers_is_neither_ours_nor_cut():
    groups = ended_peers({"dctn": {"epochs": 15}}, cpdgal=[99.0], ssftt=[30.0, 40.0], sprn=[36.0], dctn=[98.0])
    assert comparison.best_of_peers(groups) == "SPRN, 36.00 %"
    assert comparison.best_of_peers({"CPDGAL": groups["CPDGAL"]}) == "no run"


def test_accuracies_by_class_are_means_over_seeds():
    rows = [pd.DataFrame({"accuracy": values}, ["corn", "oats"]) for values in ([90.0, np.nan], [70.0, 50.0])]
    runs = [Run(Study(seed=seed), {}, row) for seed, row in enumerate(rows)]
    table = comparison.accuracy_by_class({"CPDGAL": runs, "SSFTT": [], "ViT": runs[1:]})
    assert table.to_dict("index") == {"CPDGAL": {"corn": 80.0, "oats": 50.0}, "ViT": {"corn": 70.0, "oats": 50.0}}


def test_accuracy_over_distance():
    """One labelled pixel in a corner of a full scene: every distance is known, and only what is near is right."""
    labels = np.ones((5, 5), dtype=int)
    labels[0, 0] = 2
    scene = cpdgal.Scene(np.arange(50).reshape(5, 5, 2), labels)
    others = np.arange(1, 25)
    distance = scene.pixels[others].max(1)
    table = leakage_audit.accuracy_over_distance(scene, np.array([0]), others, distance <= 2, least=4)
    assert table.distance.tolist() == [2, 3, 4]  # three pixels at distance 1 are too few
    assert table.accuracy.tolist() == [100, 0, 0]
    assert len(leakage_audit.accuracy_over_distance(scene, np.array([0]), others, distance <= 2, least=3)) == 4


def test_the_splits_of_spatial_cross_validation_leave_a_pool_or_not(indian_pines):
    """Each setting whose runs the sweep has leaves a pool in every split; the one that is left out does in few."""
    table = leakage_audit.pools_by_block(indian_pines)
    fit = table["splits with a pool"].to_dict()
    too_little = fit.pop("blocks of {}, gap {}".format(*leakage_audit.TOO_LITTLE))
    assert set(fit.values()) == {"12 of 12"}
    assert len(fit) == 5
    assert int(too_little.split(" of ")[0]) < 6
    study = Study(split="folds", block=29, gap=6, seed=1, fold=2)
    pool = study.make_split(indian_pines).pool
    least = table.loc["blocks of 29, gap 6", "classes in a pool, at least"]
    assert 1 < least <= len(set(indian_pines.targets[pool]))


def test_floors_over_blocks_are_drawn_a_panel_a_gap():
    def folds(block, gap, right):
        studies = [Study(split="folds", block=block, gap=gap, fold=fold) for fold in range(4)]
        return [SimpleNamespace(study=s, confusion=np.array([[right, 10 - right], [0, 0]])) for s in studies]

    place, spectrum = "coordinates, spread out", "spectrum only (SVM)"
    groups = {
        (15, 6): {place: folds(15, 6, 6), spectrum: []},
        (29, 6): {place: folds(29, 6, 4), spectrum: []},
        (29, 14): {place: folds(29, 14, 2), spectrum: folds(29, 14, 5)},
    }
    figure = leakage_audit.accuracy_by_block(groups)
    near, far = figure.axes
    assert [axis.get_title() for axis in (near, far)] == ["a gap of 6 pixels", "a gap of 14 pixels"]
    np.testing.assert_allclose(np.stack(near.lines[0].get_data()), [[15, 29], [60, 40]])
    assert [line.get_ydata()[0] for line in far.lines] == pytest.approx([20, 50])
    assert labelled(figure)
    said = leakage_audit.place_pays(groups)
    assert said.endswith("? undecided: blocks of 29, gap 14; not run here: blocks of 15, gap 6, blocks of 29, gap 6.")  # a seed
    nothing = {(15, 6): {place: [], spectrum: []}}
    assert leakage_audit.accuracy_by_block(nothing).axes
    assert leakage_audit.place_pays(nothing).endswith("? not run here: blocks of 15, gap 6.")


def test_mean_entropy_is_that_of_bin_centres():
    histograms = np.array([[3, 1, 0, 0, 0], [0, 0, 0, 0, 2], [0, 0, 0, 0, 0]])
    np.testing.assert_allclose(entropy.mean_entropy(histograms), [(3 * 0.1 + 0.3) / 4, 0.9, np.nan])


@given(st.integers(0, 2**32 - 1))
def test_the_estimate_is_off_by_half_a_bin_at_most(seed):
    drawn = np.random.default_rng(seed).dirichlet(np.full(5, 0.5), size=40)
    assert abs(entropy.mean_entropy(entropy_histogram(drawn)) - pixel_entropy(drawn).mean() / log(5)) <= 0.05 + 1e-9


def test_accuracy_by_entropy():
    """Certain pixels, of which two in three are right, and pixels with no idea, which are never right."""
    certain, even = [1.0, 0.0], [0.5, 0.5]
    table = entropy.accuracy_by_entropy(np.array([0, 0, 1, 1]), np.array([certain, certain, certain, even]), bins=4)
    assert table["count"].tolist() == [3, 0, 0, 1]
    np.testing.assert_allclose(table.accuracy, [200 / 3, np.nan, np.nan, 0])


def test_captions_of_the_entropy_tell_the_lowest_bin():
    runs = [cycled(seed, [0.0] * 2, [100 + 200 * seed, 0, 490], 0) for seed in range(2)]  # of 1000, 990 and 980 pixels
    assert (
        entropy.lowest_bin({"2 %": runs, "1 %": []})
        == "The lowest bin's share of the remaining pool goes from 20 to 50 % at 2 %."
    )
    assert entropy.lowest_bin({"1 %": []}) == "No run is on record yet."
    table = pd.DataFrame({"count": [40, 5], "accuracy": [90.0, 20.0]})
    empty = pd.DataFrame({"count": [0, 5], "accuracy": [np.nan, 20.0]})
    said = "Wrong in the lowest bin: 4 of 40 (pool)."
    assert entropy.wrong_and_certain({"pool": table, "hold-out": empty}) == said
    assert entropy.wrong_and_certain({"hold-out": empty}) == "No prediction lies in the lowest bin."


def test_purity_is_a_loop_over_neighbours():
    rng = np.random.default_rng(0)
    points, classes = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    same = []
    for i, point in enumerate(points):
        nearest = sorted((j for j in range(30) if j != i), key=lambda j: np.linalg.norm(points[j] - point))[:4]
        same += [classes[j] == classes[i] for j in nearest]
    assert embeddings.neighbour_purity(points, classes, 4) == pytest.approx(100 * np.mean(same))


def test_a_caption_tells_the_purity_of_what_is_drawn():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1], 50)
    apart, mixed = 100 * classes[:, None] + rng.normal(size=(100, 2)), rng.normal(size=(100, 2))
    said = embeddings.neighbours_in_the_plane(classes, {"CPDGAL": {"p 5": apart, "p 30": mixed}})
    mixed_purity = embeddings.neighbour_purity(mixed, classes)
    assert said.endswith(f"is 100 % (CPDGAL, p 5); {mixed_purity:.0f} % (CPDGAL, p 30).")
    assert 35 < mixed_purity < 65


def test_what_is_far_apart_is_separated():
    """Two heaps a hundred times as far apart as they are wide; with the classes dealt across them nothing is left."""
    rng = np.random.default_rng(0)
    heap = np.tile([0, 1], 100)
    points = 100 * heap[:, None] + rng.normal(size=(200, 2))
    apart, across = embeddings.separation(points, heap), embeddings.separation(points, np.repeat([0, 1, 0, 1], 50))
    assert apart["silhouette, hundredths"] > 95
    assert apart["purity, %"] == apart["linear probe, %"] == 100
    assert across["silhouette, hundredths"] < 1
    assert 40 < across["purity, %"] < 60


def test_the_probe_is_judged_on_what_it_did_not_see():
    points = np.array([[0.0], [0.1], [1.0], [1.1], [0.0], [1.0], [0.9], [0.1]])
    assert embeddings.linear_probe(points, np.array([0, 0, 1, 1, 0, 1, 0, 1])) == 50  # the last two are mislabelled


def test_the_area_under_a_curve_is_its_mean_height():
    assert query_strategies.area_under_curve([50, 150, 350], [40.0, 40.0, 40.0]) == pytest.approx(40)
    assert query_strategies.area_under_curve([0, 100, 300], [10.0, 30.0, 50.0]) == pytest.approx((100 * 20 + 200 * 40) / 300)
    assert query_strategies.area_under_curve([0, 50, 100], [0.0, np.nan, 100.0]) == pytest.approx(
        50
    )  # a look that was not taken
    assert query_strategies.area_under_curve([0, 100], [np.nan, 70.0]) == 70


def test_a_caption_tells_how_near_queried_pixels_are():
    line = pd.DataFrame({"row": [0, 0, 0], "column": [0, 3, 13]})  # nearest at 3, 3 and 10
    pair = pd.DataFrame({"row": [0, 6], "column": [0, 8]})
    said = query_strategies.nearest_queried({"margin": line, "random": pair})
    assert said.endswith("in pixels: random 10, margin 5.")


def test_the_balance_of_labels_over_classes():
    even = query_strategies.class_balance(np.full(8, 5), np.arange(8))
    assert even == {"evenness": pytest.approx(1), "seen": 8, "rarest": pytest.approx(25)}
    lopsided = query_strategies.class_balance([0, 6, 2, 0], [100, 50, 7, 8])  # class 2 is the rarest of four
    share = 0.75
    assert lopsided["evenness"] == pytest.approx(-(share * log(share) + (1 - share) * log(1 - share)) / log(4))
    assert (lopsided["seen"], lopsided["rarest"]) == (2, pytest.approx(25))
    assert query_strategies.class_balance([3, 0], [1, 2]) == {"evenness": 0, "seen": 1, "rarest": 100}


def loop_of(*accuracies, labels=(10, 20, 30, 40), entropies=None, **values):
    """A record of a loop, with so much accuracy and so many labels after each cycle."""
    cycles = pd.DataFrame({"cycle": range(len(accuracies)), "labels": labels[: len(accuracies)], "OA": accuracies})
    return cpdgal.Record(SMALL.but(cycles=len(accuracies) - 1, **values), cycles, *[None] * 3, entropies, *[None] * 2)


def test_stopping_is_charged_with_what_the_rest_of_the_loop_brought():
    record = loop_of(50.0, np.nan, 70.0, 80.0)
    ways = [[False, False, True, False], [False, True, True, False], [False, False, False, True], [False] * 4]
    found = [query_strategies.stop(record, np.array(met)) for met in ways]
    assert found[0] == {"cycle": 2, "saved": pytest.approx(25), "lost": pytest.approx(10)}
    assert found[1] == {"cycle": 1, "saved": pytest.approx(50), "lost": pytest.approx(30)}  # as of the last look
    assert found[2] == {"cycle": 3, "saved": 0, "lost": 0}
    assert all(np.isnan(value) for value in found[3].values())


def test_loops_are_of_networks_that_ask_again_and_again_on_the_scene():
    kept = loop_of(1.0, 2.0, 3.0, 4.0)
    others = [loop_of(1.0, 2.0, 3.0), loop_of(1.0, 2.0, 3.0, 4.0, acquired=0.0), loop_of(1.0, 2.0, 3.0, 4.0, scene="salinas_a")]
    floor = replace(kept, study=Study(scene="synthetic", method="coordinates", query="random", profile="smoke", cycles=3))
    assert query_strategies.loops([*others, kept, floor], "synthetic") == [kept]


def test_the_estimate_of_the_uncertainty_ends_at_half_a_bin_whatever_is_left():
    all_lowest = np.eye(1, 10, dtype=int) * np.arange(1, 2000)[:, None]
    estimated = query_strategies.uncertainties(loop_of(1.0, entropies=all_lowest))
    assert (estimated == query_strategies.THRESHOLDS[-1]).all()  # so that the strictest threshold is met there, and only there
    assert query_strategies.uncertainties(loop_of(1.0, entropies=np.eye(10, dtype=int)[[1]] + all_lowest[-1:])) > 0.05


def test_agreement_is_measured_on_the_pixels_of_each_stop_set():
    record, scene = loop_of(1.0, 2.0, 3.0), SMALL.load_scene()
    split = SMALL.make_split(scene)
    rng = np.random.default_rng(0)
    maps = np.repeat(rng.integers(1, 5, (1, *scene.labels.shape)), 4, axis=0)
    for cycle, at in ((1, np.argwhere(scene.labels == 0)), (2, scene.pixels[split.holdout]), (3, scene.pixels[split.pool])):
        row, column = at[0]
        maps[cycle:, row, column] = maps[0, row, column] % 4 + 1
    agreed = query_strategies.agreements(maps, record, scene)
    changed = {name: (values < 1).tolist() for name, values in agreed.items()}
    assert list(changed.values()) == [[False, False, False, True], [False, False, True, True], [False, True, True, True]]
    assert all(np.isnan(values[0]) for values in agreed.values())


def test_what_stopping_saved_and_cost_is_told_by_rule():
    lowest, rest = np.eye(10, dtype=int)[0] * 9, np.full(10, 9)
    fast = loop_of(50.0, 60.0, 70.0, 80.0, entropies=np.array([rest, lowest, lowest, lowest]))
    slow = loop_of(50.0, 60.0, 81.0, 80.0, entropies=np.array([rest, rest, lowest, lowest]))
    never = loop_of(50.0, 60.0, 70.0, 80.0, entropies=np.array([rest] * 4))
    agreed = {"the pool": np.array([np.nan, 1.0, 1.0, 1.0]), "every pixel": np.array([np.nan, 0.9, 1.0, 1.0])}
    found = query_strategies.stops([fast, slow, never], fast, agreed)
    said = query_strategies.stops_sentence(found)
    assert "of 0.05, 2 of 3 loops stop, save 37.5 % of their labels and lose 9.50 points of OA on average" in said
    assert "at worst lose 20.00 points." in said
    assert "above 0.99 on the pool would stop the loop in cycle 3, save 0.0 % of the labels and lose 0.00 points." in said
    assert said.endswith("Agreement on every pixel never stays above 0.99, and the loop runs to its end.")
    table = query_strategies.stops_table(found)
    assert table.loc["uncertainty 0.05"].tolist() == [3, 2, "1.5", "37.5", "9.50", "20.00"]
    assert table.loc["agreement, every pixel"].tolist() == [1, 0, "-", "-", "-", "-"]
    gained = query_strategies.stops_sentence(query_strategies.stops([slow], slow, {}))
    assert "1 of 1 loops stop, save 25.0 % of their labels and gain 1.00 points" in gained
    assert query_strategies.stops_sentence(query_strategies.stops([never], None, {})).startswith(
        "At an overall uncertainty of 0.2, 0 of 1 loops stop. "
    )


def test_the_figure_of_stopping_draws_what_there_is():
    left = np.array([np.full(10, 9)] + [np.eye(10, dtype=int)[0] * 9] * 3)
    record = loop_of(50.0, 60.0, 70.0, 80.0, entropies=left)
    agreed = {"the pool": np.array([np.nan, 1.0, 1.0, 1.0])}
    for shown, agreements, marks in ((record, agreed, 4), (None, {}, 3)):
        found = query_strategies.stops([record], shown, agreements)
        figure = query_strategies.stopping_figure([record], shown, agreements, found)
        assert len(figure.axes[2].collections) == marks
        np.testing.assert_allclose(figure.axes[1].lines[0].get_ydata(), [0.5, 0.05, 0.05, 0.05])
        x, y = figure.axes[2].collections[0].get_offsets().T
        assert (x[0], y[0]) == (50, 20)


KINDS = ("noise", "dead bands", "illumination", "missing pixels")


@pytest.mark.parametrize("kind", KINDS)
def test_a_disturbance_grows_from_nothing_and_keeps_the_ground_truth(scene, kind):
    gapped = Scene(scene.cube, scene.labels * 7, name="gapped")
    shown = [low_label.disturbed(gapped, kind, strength, np.random.default_rng(3)) for strength in (0, 0.1, 0.3, 0.3)]
    np.testing.assert_allclose(shown[0].cube, gapped.cube, rtol=1e-6)
    changes = [np.abs(each.cube - gapped.cube).mean() for each in shown]
    assert 0 < changes[1] < changes[2] == changes[3]
    for each in shown:
        np.testing.assert_array_equal(each.labels, gapped.labels)
        assert (each.label_values, each.class_names, each.name) == (gapped.label_values, gapped.class_names, "gapped")


def test_disturbances_have_the_strength_they_are_given(scene):
    show = {kind: low_label.disturbed(scene, kind, 0.25, np.random.default_rng(0)).cube for kind in KINDS}
    noise = (show["noise"] - scene.cube) / scene.cube.std((0, 1))
    assert noise.std() == pytest.approx(0.25, rel=0.02)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02
    dead = show["dead bands"].std((0, 1)) < 1e-5
    assert dead.sum() == scene.bands // 4
    np.testing.assert_array_equal(show["dead bands"][..., ~dead], scene.cube[..., ~dead])
    np.testing.assert_allclose(show["dead bands"].mean((0, 1)), scene.cube.mean((0, 1)), rtol=1e-4)
    light = np.log(show["illumination"] / scene.cube)
    np.testing.assert_allclose(light, np.broadcast_to(light[..., :1], light.shape), atol=1e-5)
    assert light[..., 0].std() == pytest.approx(0.25, rel=1e-4)
    assert np.abs(np.diff(light[..., 0], axis=0)).max() < 0.15
    missing = (show["missing pixels"] == 0).all(2)
    assert missing.mean() == pytest.approx(0.25, abs=0.04)
    np.testing.assert_array_equal(show["missing pixels"][~missing], scene.cube[~missing])


def test_a_disturbance_that_does_not_exist_is_refused(scene):
    with pytest.raises(ValueError, match="no disturbance is called 'fog'"):
        low_label.disturbed(scene, "fog", 0.1, np.random.default_rng(0))


def labelled(figure):
    axes = [axis for axis in figure.axes if axis.axison and axis.get_label() != "<colorbar>"]
    return all(axis.get_xlabel() and axis.get_ylabel() for axis in axes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Records of two methods, one of them with two seeds."""
    store = cpdgal.Store(tmp_path_factory.mktemp("store"), packaged=False)
    small = {"scene": "synthetic", "profile": "smoke", "score_every": 1, "epochs": 1, "dim": 8, "layers": 1, "window": 3}
    studies = [cpdgal.Study(**small, seed=0), cpdgal.Study(**small, seed=1), cpdgal.Study(**small, method="spectra")]
    records = [cpdgal.run(study, store, progress=False) for study in studies]
    return {"CPDGAL": records[:2], "spectrum only (SVM)": records[2:]}


def test_the_method_s_figures(scene):
    model = cpdgal.build("cpdgal", bands=6, window=5, classes=4, steps=10)
    windows = cpdgal.Windows(scene, window=5, components=6)
    with torch.no_grad():
        tokens = model.embedding(windows[[0]])
        weights = model.blocks[0].attention_weights(tokens)
        mask = model.masking(tokens, weights)[1]
    assert labelled(method.schedule(model.dgfr.alpha(), model.dgfr.alpha() * 0.9))
    refined = method.refinement(model.dgfr, tokens, [1, 10], torch.Generator().manual_seed(0))
    assert refined.axes[0].get_title() == "clean $Z$"
    assert len(method.attention(weights[0]).axes) == 8 + 1 + 2
    method.masking(scene, tuple(scene.pixels[0]), 5, weights.mean(1).mean(1)[0], mask[0])
    embedded = method.embedding(scene, tuple(scene.pixels[0]), windows[[0]][0], tokens[0], model.embedding.position.detach())
    channel = tokens[0].std(0).argmax()
    np.testing.assert_allclose(embedded.axes[2].images[0].get_array().ravel(), tokens[0, :, channel])
    assert isinstance(method.flow_diagram(), SVG)


def test_the_terms_of_the_loss_are_error_times_confidence():
    error, confidence = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.2, 1.0, 1.0, 1.2])
    drawn = method.loss(error, confidence).axes[2].images[0].get_array()
    np.testing.assert_allclose(drawn, [[1.2, 2.0], [3.0, 4.8]])


def test_the_smallest_margins_stand_apart_and_probabilities_are_ranked():
    probabilities = np.array([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.5, 0.2, 0.3]])
    spread, ranked = method.margins(probabilities, np.array([0.7, 0.1, 0.3]), 1).axes
    assert [bar.get_height() for bar in spread.patches if bar.get_height()] == [1, 1, 1]
    assert [line.get_ydata().tolist() for line in ranked.lines] == [[0.4, 0.3, 0.3], [0.8, 0.1, 0.1]]


def test_glue_stores_values_and_is_silent_on_a_hosted_service(monkeypatch):
    import myst_nb

    stored = {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: stored.update({name: value}))
    common.glue("x", 3.5)
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    common.glue("y", 1)
    assert stored == {"x": 3.5}


def test_figures_of_records_have_labelled_axes(runs):
    last = pd.DataFrame(
        {"random": {"CPDGAL": {0: 90.0, 1: 92.0}, "ViT": {}}, "blocks": {"CPDGAL": {0: 40.0}, "ViT": {0: 30.0}}}
    )
    changes = pd.DataFrame({101: {"a": 1.0, "b": -2.0}, 102: {"a": 2.0, "b": np.nan}})
    far = pd.DataFrame({"distance": [1.0, 5.0], "accuracy": [90.0, 50.0]})
    drawn = [
        plots.learning_curves({name: common.over_seeds(each) for name, each in runs.items()}, 97.0),
        plots.run_progress(runs["CPDGAL"][0]),
        leakage_audit.accuracy_by_split(last),
        common.seeds_by_row({"change (points)": changes}, "alternative", noise=1.0),
        leakage_audit.accuracy_by_distance({"CPDGAL": far}, 7),
    ]
    assert all(labelled(figure) for figure in drawn)


def test_a_band_is_the_mean_and_one_deviation_over_seeds(runs):
    (axes,) = plots.learning_curves({name: common.over_seeds(each) for name, each in runs.items()}).axes
    both = np.stack([record.cycles.OA for record in runs["CPDGAL"]])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), both.mean(0))
    corners = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose(corners[:, 1].max(), (both.mean(0) + both.std(0, ddof=1)).max())
    assert [line.get_label() for line in axes.lines] == ["CPDGAL", "spectrum only (SVM)"]
    svm = runs["spectrum only (SVM)"][0].final.OA
    named = {f"CPDGAL (2 seeds): {both.mean(0)[-1]:.1f} %", f"spectrum only (SVM): {svm:.1f} %"}
    assert {text.get_text() for text in axes.texts} == named


def test_methods_that_were_not_run_on_a_split_leave_a_gap():
    (axes,) = leakage_audit.accuracy_by_split(pd.DataFrame({"random": {"ViT": {}}, "blocks": {"ViT": {0: 30.0, 1: 40.0}}})).axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [np.nan, 35.0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["random", "blocks"]


def test_captions_of_the_audit_tell_what_is_lost():
    table = pd.DataFrame(
        {"random": {"CPDGAL": {0: 90.0, 1: 94.0}, "ViT": {0: 90.0}}, "blocks": {"CPDGAL": {0: 40.0}, "ViT": {}}}
    )
    assert leakage_audit.losses(table) == "Points lost from random to blocks: CPDGAL 52."
    assert leakage_audit.losses(table.loc[["ViT"]]) == "No method has both splits."
    far = pd.DataFrame({"distance": [1.0, 5.0, 9.0], "accuracy": [90.0, 70.0, 50.0]})
    said = "Correct in the nearest and in the farthest bin: CPDGAL 90 and 50 %."
    assert leakage_audit.from_near_to_far({"CPDGAL": far, "ViT": far[:0]}) == said
    assert leakage_audit.from_near_to_far({}) == "No run is on record yet."


def test_rows_are_in_the_order_of_their_means_or_as_they_are():
    table = pd.DataFrame({101: {"better": 1.0, "worse": -2.0}})
    for ordered, names in ((True, ["worse", "better"]), (False, ["worse", "better"])):
        (axes,) = common.seeds_by_row({"change": table}, "alternative", noise=0.5, ordered=ordered).axes
        assert [label.get_text() for label in axes.get_yticklabels()] == names
    (axes,) = common.seeds_by_row({"change": -table}, "alternative", ordered=False).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["worse", "better"]


def test_panels_show_means_bands_and_where_they_stand():
    runs = pd.DataFrame({0: [10.0, 20.0], 1: [30.0, 40.0]}, index=[16.0, 140.0])
    panels = {"one": {"CPDGAL": runs, "ViT": runs + 1}, "two": {"ViT": runs[[0]]}}
    figure = common.curves_by_panel(panels, "labels", "OA", log=True)
    one, two = figure.axes
    assert labelled(figure)
    assert (one.get_xscale(), one.get_title()) == ("log", "one")
    np.testing.assert_array_equal(one.lines[0].get_ydata(), [20, 30])
    corners = one.collections[0].get_paths()[0].vertices[:, 1]
    assert corners.max() == pytest.approx(30 + np.sqrt(200))
    assert [label.get_text() for label in two.get_xticklabels()] == ["16", "140"]
    assert two.lines[0].get_linestyle() == one.lines[1].get_linestyle() != one.lines[0].get_linestyle()
    assert not figure.legends
    for axis, names in ((one, ["CPDGAL", "ViT"]), (two, ["ViT"])):
        ends = {line.get_label(): line.get_ydata()[-1] for line in axis.lines}
        assert {text.get_text(): text.xy[1] for text in axis.texts} == ends
        hues = ({each.get_label(): np.argsort(to_rgb(each.get_color())).tolist() for each in axis.lines}, {})
        hues[1].update({text.get_text(): np.argsort(text.get_color()).tolist() for text in axis.texts})
        assert hues[0] == hues[1]
        assert [*ends] == names


def test_a_panel_names_what_was_not_run_in_a_legend():
    runs = pd.DataFrame({0: [10.0, 20.0]}, index=[1, 2])
    figure = common.curves_by_panel({"": {"CPDGAL": runs, "ViT": runs[[]]}}, "labels", "OA", columns=1)
    assert [text.get_text() for text in figure.axes[0].texts] == ["CPDGAL"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ViT: not run"]


def test_a_caption_tells_the_highest_and_the_lowest_curve_of_each_panel():
    runs = pd.DataFrame({0: [10.0, 20.0], 1: [30.0, 40.0]}, index=[16, 140])
    drawn = {"one": {"A": runs, "B": runs + 1, "C": runs - 1}, "two": {"A": runs}, "three": {"A": runs[[]]}}
    axes = common.curves_by_panel(drawn, "labels", "OA").axes[:3]
    said = "One: at the end, B (31.0 %) is highest and C (29.0 %) lowest. Two: at the end, A (30.0 %). "
    assert common.ends_of(axes) == said + "Three: no run is on record yet."
    published = plots.learning_curves({"A": runs, "B": runs[[]]}, 99.0)
    assert common.ends_of(published.axes, "last", "{:.0f}") == "Last, A (30)."


def test_a_caption_tells_the_rows_with_the_highest_and_the_lowest_mean():
    table = pd.DataFrame({0: {"a": 1.0, "b": 5.0, "c": 2.0, "d": np.nan}, 1: {"a": 2.0}})
    assert common.extremes(table, "Area") == "Area is highest for b (5.00 %) and lowest for a (1.50 %)."
    assert common.extremes(table.loc[["b", "d"]], "Area", "{:.0f}") == "Area: b (5)."
    assert common.extremes(table.loc[["d"]], "Area") == "No run is on record yet."


def test_reliability_joins_the_pixels_of_all_seeds(runs):
    figure = low_label.reliability_diagrams({"CPDGAL": runs["CPDGAL"]})
    assert labelled(figure)
    right, share = figure.axes
    confidence, accuracy = right.lines[1].get_data()
    pixels = share.lines[0].get_ydata() / 100
    assert pixels.sum() == pytest.approx(1)
    assert 100 * (pixels * accuracy).sum() == pytest.approx(np.mean([record.final.OA for record in runs["CPDGAL"]]))
    assert np.all(np.diff(confidence) > 0)
    bins = pd.concat([record.calibration for record in runs["CPDGAL"]]).query("count > 0")
    gap = (bins.confidence * bins["count"]).sum() / bins["count"].sum() - np.mean([r.final.OA for r in runs["CPDGAL"]]) / 100
    assert low_label.overconfidence(runs).startswith(f"Mean confidence minus accuracy, in points: CPDGAL {100 * gap:+.0f}, ")


def looped(seed, emi=(0.05, -0.01), counts=((3, 5, 2), (6, 2, 1), (8, 0, 0))):
    cycles = pd.DataFrame({"cycle": range(len(emi) + 1), "EMI": [np.nan, *emi], "EMI per label": [np.nan, *emi]})
    return cpdgal.Record(cpdgal.Study(seed=seed), cycles, *[None] * 3, np.array(counts), None, None)


def test_emi_stands_beside_the_paper_s():
    groups = {"0.5 %": [looped(0)], "2 %": [looped(0), looped(1, (0.03, 0.01))]}
    figure = model_improvement.improvement(groups, {"0.5 %": 0.02, "2 %": 0.03}, ("0.5 %", 0.01))
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axis.get_title() for axis in above] == ["0.5 % of the pool (one seed)", "2 % of the pool (2 seeds)"]
    assert [axis.get_xlabel() for axis in below] == ["cycle"] * 2
    drawn = {line.get_label(): line.get_ydata() for line in above[1].lines}
    np.testing.assert_allclose(drawn["here"], [0.04, 0])
    assert list(drawn["the paper, first cycle"]) == [0.03]
    assert sum(line.get_linestyle() == "--" for axis in above for line in axis.lines) == 1  # the threshold, at its budget alone


def test_entropy_maps_are_means_over_seeds_with_certain_pixels_above():
    other = looped(1, counts=((5, 5, 0), (8, 0, 1), (8, 0, 0)))
    figure = entropy.entropy_maps({"1 %": [], "2 %": [looped(0), other]})
    (axis,) = (axis for axis in figure.axes if axis.get_label() != "<colorbar>")
    np.testing.assert_array_equal(axis.images[0].get_array(), [[4, 7, 8], [5, 1, 0], [1, 1, 0]])
    bottom, top = axis.get_ylim()
    assert bottom > top
    assert labelled(figure)


def test_bins_of_few_pixels_are_hollow():
    table = pd.DataFrame({"count": [90, 0, 5], "accuracy": [99.0, np.nan, 40.0]})
    (axes,) = entropy.right_by_entropy({"pool": table}, fewest=20).axes
    many, few = axes.lines
    assert many.get_ydata().tolist() == [99.0]
    assert few.get_ydata()[~np.isnan(few.get_ydata())].tolist() == [40.0]
    assert few.get_markerfacecolor() == "none"
    assert [text.get_text() for text in axes.texts] == ["90", "5"]


def test_embeddings_have_a_panel_each_and_every_class_its_colour(scene):
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 3], 5)
    placed = {name: {setting: rng.normal(size=(15, 2)) for setting in ("5", "30")} for name in ("CPDGAL", "ViT")}
    figure = embeddings.embeddings(scene, classes, placed)
    assert len(figure.axes) == 4
    assert labelled(figure)
    shown = [points for points in figure.axes[3].collections if len(points.get_offsets())]
    assert [len(points.get_offsets()) for points in shown] == [5, 5, 5]
    np.testing.assert_allclose([points.get_facecolor()[0, :3] for points in shown], scene.palette[[0, 1, 3]])
    np.testing.assert_array_equal(shown[2].get_offsets(), placed["ViT"]["30"][classes == 3])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(scene.class_names)


def test_settings_stand_beside_the_paper_s_on_scales_of_equal_span():
    runs = [Run(Study(seed=seed), {"OA": value}) for seed, value in ((0, 80.0), (1, 90.0), (0, 70.0))]
    groups = {"5": runs[:2], "100": runs[2:]}
    here, paper = ablations.beside_the_paper(TABLES[5], groups, "diffusion steps T").axes
    assert (here.get_ylabel(), paper.get_xlabel()) == ("diffusion steps T", "OA in the paper, on Botswana (%)")
    assert [label.get_text() for label in here.get_yticklabels()] == ["1000", "500", "100", "10", "5"]
    means, published = (axis.collections[-1].get_offsets()[:, 0].filled(np.nan) for axis in (here, paper))
    np.testing.assert_array_equal(means, [np.nan, np.nan, 70.0, np.nan, 85.0])
    np.testing.assert_array_equal(published, TABLES[5].published[::-1])
    assert np.ptp(here.get_xlim()) == pytest.approx(np.ptp(paper.get_xlim()))
    assert len(ablations.beside_the_paper(TABLES[4], {}, "probability").axes[0].get_yticklabels()) == 5


def test_a_row_shows_seeds_mean_interval_and_the_paper_s():
    differences = pd.DataFrame({"CM": {0: 1.0, 1: 2.0, 2: 3.0}, "DGFR": {0: -1.0}, "both": {}}, dtype=float).T
    reach = 4.302653 / 3**0.5
    intervals = common.t_intervals(differences)
    np.testing.assert_allclose(intervals, [[2 - reach, 2 + reach], [np.nan] * 2, [np.nan] * 2], atol=1e-5)
    published = {"CM": 1.87, "DGFR": 2.43, "both": 3.17}
    (axes,) = common.seeds_by_row({"OA": differences}, "network", intervals={"OA": intervals}, published=published).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["DGFR", "CM", "both"]
    lines, *seeds, means, paper = axes.collections
    (interval,) = (each for each in lines.get_segments() if len(each))
    np.testing.assert_allclose(interval, [[2 - reach, 1], [2 + reach, 1]], atol=1e-5)
    for dots, expected in zip(seeds, ([-1, 1], [2], [3]), strict=True):
        assert dots.get_offsets()[:, 0].compressed().tolist() == expected
    assert means.get_offsets()[:, 0].compressed().tolist() == [-1.0, 2.0]
    assert paper.get_offsets()[:, 0].tolist() == [2.43, 1.87, 3.17]


def test_methods_are_ranked_by_the_first_panel_with_seeds_means_and_intervals(runs):
    ours, svm = runs["CPDGAL"], runs["spectrum only (SVM)"]
    panels = {"random": {"CPDGAL": ours[:1], "SVM": svm[:1], "ViT": []}, "blocks": {"SVM": ours[:1]}}
    figure = comparison.ranking(panels, {"CPDGAL": 97.34}, {"SVM": "SVM (cut)"})
    first, second = figure.axes
    assert (first.get_xlabel(), second.get_xlabel()) == ("OA (%), random", "OA (%), blocks")
    scores = {"CPDGAL": ours[0].final.OA, "SVM": svm[0].final.OA}
    order = sorted(scores, key=scores.get)
    assert [label.get_text() for label in first.get_yticklabels()] == [name.replace("SVM", "SVM (cut)") for name in order]
    means, paper = first.collections[-2:]
    assert means.get_offsets()[:, 0].tolist() == [scores[name] for name in order]
    assert paper.get_offsets()[:, 0].compressed().tolist() == [97.34]
    n, right = ours[0].confusion.sum(), np.trace(ours[0].confusion)
    ((low, _), (high, _)) = second.collections[0].get_segments()[order.index("SVM")]
    p, z = right / n, 1.959964
    wilson = (p + z**2 / 2 / n + np.array([-1, 1]) * z * np.sqrt(p * (1 - p) / n + z**2 / 4 / n**2)) / (1 + z**2 / n)
    np.testing.assert_allclose([low, high], 100 * wilson, atol=1e-4)
    three = [replace(ours[0], study=Study(seed=seed), cycles=ours[0].cycles.assign(OA=90.0 + seed)) for seed in range(3)]
    (axis,) = comparison.ranking({"random": {"CPDGAL": three}}, {}, {}).axes
    reach = 4.302653 / 3**0.5
    np.testing.assert_allclose(axis.collections[0].get_segments()[0][:, 0], [91 - reach, 91 + reach], atol=1e-5)


def test_costs_are_numbered_dots_on_logarithmic_scales():
    table = pd.DataFrame({"OA, %": [94.0, 92.0], "parameters": [9e4, 2e6], "minutes": [100.0, 4.0]}, ["CPDGAL", "SSFTT"])
    figure = common.scores_by_cost(table, "OA, %", {"parameters": "parameters", "minutes": "time (minutes)"})
    for axis, values in zip(figure.axes, (table.parameters, table.minutes), strict=True):
        assert axis.get_xscale() == "log"
        assert {text.get_text(): text.xy for text in axis.texts} == {
            str(i): (x, y) for i, (x, y) in enumerate(zip(values, table["OA, %"], strict=True), 1)
        }
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["CPDGAL", "SSFTT"]


def test_a_heat_map_of_classes_tells_their_labels():
    table = pd.DataFrame({"corn": [90.0, 70.0], "oats": [10.0, np.nan]}, ["CPDGAL", "SSFTT"])
    axes, bar = comparison.class_heatmap(table, pd.Series({"oats": 1, "corn": 71})).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["corn (71)", "oats (1)"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["CPDGAL", "SSFTT"]
    assert [text.get_text() for text in axes.texts] == ["90", "10", "70"]
    assert bar.get_ylabel() == "accuracy of the class (%)"


def test_panels_of_rows_are_in_the_order_of_the_first():
    area = pd.DataFrame({0: [70.0, 60.0, 80.0], 1: [72.0, np.nan, 90.0]}, ["margin", "badge", "random"])
    figure = common.seeds_by_row({"area": area, "seconds": 100 - area}, "strategy", highlighted={"random": "#ff0000"})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["badge", "margin", "random"]
    for axis, values in zip(figure.axes, ([60, 71, 85], [40, 29, 15]), strict=True):
        np.testing.assert_allclose(axis.collections[-1].get_offsets()[:, 0], values)
        assert (axis.collections[-1].get_facecolors() == (1, 0, 0, 1)).all(1).tolist() == [False, False, True]


def test_a_published_mask_is_counted_and_its_labels_are_held_against_the_test_pixels(indian_pines, monkeypatch):
    mask = np.zeros(indian_pines.labels.shape, dtype=int)
    mask[:100] = indian_pines.labels[:100]
    monkeypatch.setattr(leakage_audit, "disjoint_mask", lambda name: mask)
    size = f"The mask has {np.count_nonzero(mask):,} pixels."
    assert leakage_audit.mask_sentence(indian_pines, []) == f"{size} No run is on record yet."
    at = np.flatnonzero(indian_pines.pixels[:, 0] == 99)[:1]  # windows reach three rows further, those that overlap six
    holdout = np.flatnonzero(indian_pines.pixels[:, 0] >= 100)
    study = SimpleNamespace(make_split=lambda scene: SimpleNamespace(holdout=holdout))
    record = SimpleNamespace(labelled=lambda: at, study=study)
    apart = np.abs(indian_pines.pixels[holdout] - indian_pines.pixels[at]).max(1)
    said = leakage_audit.mask_sentence(indian_pines, [record])
    for reach in (3, 6):
        assert f"{100 * (apart <= reach).mean():.1f} %" in said

    def absent(name):
        raise cpdgal.SceneError("no file")

    monkeypatch.setattr(leakage_audit, "disjoint_mask", absent)
    assert leakage_audit.mask_sentence(indian_pines, [record]) == "The mask is not at hand: no file."


def test_published_sizes_are_compared_at_raw_bands_and_at_components(monkeypatch):
    """Counts that round to the published ones, at the bands where they do; CAEVT and DCTN refuse 15 components."""

    def counted(name, bands):
        if bands == 15 and name in ("caevt", "dctn"):
            raise ValueError
        millions = {("ssftt", 204): 0.9503, ("cnn2d", 200): 1.7141, ("datn", 15): 3.3124}.get((name, bands), 9.9)
        return 1, 2, millions * 1e6, 4

    monkeypatch.setattr(comparison, "size", counted)
    said = comparison.published_sizes()
    assert said.startswith("Of Table 1's 12 peers")
    assert "at 200 or 204 raw bands for 2 (2DCNN, SSFTT); at 15 components for 1 (DATN)." in said
    assert said.endswith("At 15 components CAEVT and DCTN cannot run at all.")


def test_the_block_split_is_told_by_the_largest_class_of_its_hold_out(scene):
    tested = np.arange(len(scene.pixels))
    truth = scene.targets
    largest = int(np.bincount(truth).argmax())
    other = (largest + 1) % scene.classes
    confusion = np.diag(np.bincount(truth, minlength=scene.classes))
    confusion[largest, largest], confusion[largest, other] = 0, (truth == largest).sum()  # all taken for another class
    labels = pd.DataFrame({"labels": np.arange(scene.classes)})
    said = quickstart.block_sentence(scene, SimpleNamespace(confusion=confusion, classes=labels), tested, {"oracle": truth})
    assert f"over the {scene.classes} of {scene.classes} classes" in said
    assert f"{scene.class_names[largest]}, is {100 * (truth == largest).mean():.0f} % of the test pixels" in said
    assert "the network 0 %, oracle 100 %" in said
    assert f"predicts {scene.class_names[other]}, which has {other} labels, for 100 %." in said


def test_the_p_value_of_a_reading_and_its_adjustment_for_the_others_that_were_run():
    record = cpdgal.Store(ROOT / "results").get(Study(seed=101, split="validation"))
    groups = {
        reading: [
            replace(record, study=record.study.but(seed=101 + i), cycles=record.cycles.assign(OA=90 + gain))
            for i, gain in enumerate(gains)
        ]
        for reading, gains in {"default": (0, 0, 0), "good": (1, 2, 3), "idle": (-1, 0, 1.5), "open": ()}.items()
    }
    p = ttest_1samp([1, 2, 3], 0).pvalue
    said = open_decisions.reading_p_values(groups, "good")
    assert said == f"p = {p:.3f} as if it were the only reading, and {2 * p:.2f} by Holm's rule over the 2 that were run"
    assert open_decisions.reading_p_values(groups, "open") == ""
