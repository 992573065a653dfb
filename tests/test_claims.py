"""Verdicts follow their rules, and turn when the records turn."""

import runpy
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import cpdgal
from cpdgal import claims
from cpdgal.claims import TABLES, best, better, peak, rank_agreement, reached, spread, together
from cpdgal.methods import size
from cpdgal.peers import PEERS
from cpdgal.study import Study


def test_spread():
    assert spread([96.0, 98.0]) == "97.00 ± 1.41"
    assert spread([96.874]) == "96.87"


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ([97.0], "holds"),
        ([99.0, 98.0], "holds"),
        ([96.9, 96.8], "holds"),
        ([96.0], "holds in part"),
        ([90.0, 96.0], "does not hold"),
        ([], "not run here"),
    ],
)
def test_a_published_figure_is_reached_or_not(measured, word):
    said = reached(97.34, dict(enumerate(measured)))
    assert said.word == word
    assert "97.34 %" in said.sentence
    if measured:
        assert f"{np.mean(measured):.2f} %" in said.sentence
        assert ("above" if np.mean(measured) > 97.34 else "below") in said.sentence
        assert said.here == f"{spread(measured)} %"


@pytest.mark.parametrize(
    ("left", "right", "word"),
    [
        ({0: 92.0, 1: 93.1, 2: 94.0}, {0: 90.0, 1: 91.0, 2: 92.1}, "holds"),
        ({0: 92.0, 1: 93.0, 2: 94.0}, {0: 90.0, 1: 94.0, 2: 93.5}, "holds in part"),
        ({0: 92.0}, {0: 90.0}, "holds in part"),
        ({0: 90.0}, {0: 92.0}, "does not hold"),
        ({0: 90.0}, {0: 90.0}, "does not hold"),
        ({0: 92.0}, {1: 90.0}, "not run here"),
        ({}, {}, "not run here"),
    ],
)
def test_one_method_is_better_or_not(left, right, word):
    said = better(left, right, ("ours", "theirs"))
    assert said.word == word
    if word == "holds":  # swapped, it cannot hold
        assert better(right, left, ("theirs", "ours")).word == "does not hold"


def test_the_paired_test_is_that_of_scipy():
    left, right = {0: 91.0, 1: 92.5, 2: 90.7, 3: 93.0}, {0: 90.0, 1: 90.5, 2: 90.4, 3: 91.0, 7: 10.0}
    test = stats.ttest_rel([left[s] for s in range(4)], [right[s] for s in range(4)])
    sentence = better(left, right, ("A", "B")).sentence
    low, high = test.confidence_interval()
    assert f"p = {test.pvalue:.3f}" in sentence
    assert f"{low:+.2f} to {high:+.2f}" in sentence


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ({"a": {0: 90.0}, "b": {0: 80.0, 1: 82.0}}, "holds"),
        ({"a": {0: 90.0}, "b": {0: 90.4}}, "holds in part"),
        ({"a": {0: 90.0}, "b": {0: 91.0}}, "does not hold"),
        ({"a": {0: 90.0}, "b": {}}, "not run here"),
        ({"a": {}, "b": {0: 90.0}}, "not run here"),
    ],
)
def test_the_paper_s_best_is_best_or_not(measured, word):
    assert best("a", measured).word == word


@pytest.mark.parametrize(("counted", "word"), [(100.9, "holds"), (96, "holds in part"), (80, "does not hold")])
def test_a_size_agrees_or_not(counted, word):
    assert claims.agrees(100, counted, "parameters").word == word


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


def test_the_tables_are_the_paper_s():
    """Every table has one figure a setting, its best is the highest, and its studies can be built."""
    assert list(TABLES) == [2, 3, 4, 5, 6]
    for table in TABLES.values():
        assert len(table.settings) == len(table.published)
        assert list(table.settings)[int(np.argmax(table.published))] == table.best
        studies = table.studies([0, 1], profile="ablation")
        assert [[study.seed for study in each] for each in studies.values()] == [[0, 1]] * len(table.settings)
        assert len({study.key for each in studies.values() for study in each}) == 2 * len(table.settings)
    ours = {claims.TABLES[n].studies([0], profile="ablation")[TABLES[n].best][0] for n in (2, 4, 5, 6)}
    assert len(ours) == 1  # the same study is "ours" in all of them


def looks(method, seed, *accuracies, epochs=10):
    """A record with so many looks at the hold-out."""
    study = cpdgal.Study(method=method, seed=seed, acquired=0.0, cycles=len(accuracies) - 1, epochs=epochs)
    cycles = pd.DataFrame({"cycle": range(len(accuracies)), "OA": accuracies, "labels": 100 + 2 * seed, "share": 1.0 + seed})
    return cpdgal.Record(study, cycles, *[None] * 6)


def test_means_are_over_the_seeds_that_every_group_has():
    groups = [[looks("vit", 0, 40.0), looks("vit", 1, 50.0)], [looks("vit", 2, 1.0), looks("vit", 0, 60.0)]]
    assert claims.mean_ends(groups) == {0: 50.0}
    assert claims.mean_ends([]) == claims.mean_ends([[], groups[0]]) == {}


def test_the_sooner_one_needs_fewer_epochs_to_the_level_of_both():
    ours = [looks("cpdgal", 0, 50.0, 89.0, 88.0, 90.0), looks("cpdgal", 1, 80.0, 70.0, 60.0)]
    twin = [looks("vit", 0, 50.0, 70.0, 92.0, 91.0), looks("vit", 1, 10.0, 58.9, 65.0), looks("vit", 2, 1.0)]
    said = claims.sooner(ours, twin, ("ours", "twin"))
    assert "+10.00, +20.00" in said.sentence  # 89 after 20 and 30 epochs; 59 after 10 and 30
    assert said.here == "+15.00 epochs sooner over 2 seeds"
    assert claims.sooner(twin, ours, ("twin", "ours")).word == "does not hold"
    assert claims.epochs_to_level(ours, twin) == ({0: 20, 1: 10}, {0: 30, 1: 30})
    assert claims.sooner([], twin, ("ours", "twin")).word == "not run here"


def test_settings_and_labels_stand_beside_their_accuracies():
    ours, twin = {"few": [looks("cpdgal", 0, 50.0), looks("cpdgal", 1, 52.0)], "more": []}, {"few": [], "more": []}
    table = claims.by_setting({"ours": ours, "twin": twin})
    assert table.loc["few"].tolist() == ["101", "1.50", "51.00 ± 1.41", "not run"]
    assert table.loc["more"].tolist() == ["", "", "not run", "not run"]
    curve = claims.over_labels(list(ours.values()))
    assert curve.to_dict("index") == {101.0: {0: 50.0, 1: 52.0}}
    assert claims.over_labels([]).empty


def test_what_counts_as_extreme():
    assert claims.EXTREME == (
        "1 of each class",
        "2 of each class",
        "3 of each class",
        "5 of each class",
        "5 % of the pool",
        "10 % of the pool",
        "20 % of the pool",
    )
    assert set(claims.FEW_LABELS) - set(claims.EXTREME) == {"10 of each class", "30 % of the pool", "50 % of the pool"}


def test_what_is_kept_is_an_area():
    assert claims.kept(pd.Series({0.0: 80.0, 0.5: 80.0})) == 100
    assert claims.kept(pd.Series({0.0: 80.0, 0.1: 40.0, 0.4: 40.0})) == pytest.approx(100 * (6 + 12) / (80 * 0.4))


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
    assert claims.emi(runs, 1, 3) == {0: pytest.approx(3)}  # seed 1 was not scored, seed 2 has too few cycles
    assert claims.emi(runs, 1, 1) == {0: pytest.approx(4), 1: pytest.approx(1), 2: pytest.approx(5)}
    assert claims.emi(runs, 1, 3, np.std) == {0: pytest.approx((2 / 3) ** 0.5)}


@pytest.mark.parametrize(
    ("first", "word"),
    [
        ((0.0300, 0.0500, 0.0350), "holds"),
        ((0.0250, 0.0400, 0.0450), "holds in part"),
        ((0.0020, 0.0500, 0.0350), "holds in part"),
        ((0.1000, 0.0500, 0.0350), "does not hold"),
    ],
)
def test_the_first_emi_is_the_paper_s_or_not(first, word):
    groups = {name: [cycled(0, [value]), cycled(1, [value])] for name, value in zip(claims.FIRST_EMI, first, strict=True)}
    said = claims.emi_first(groups)
    assert said.word == word
    assert said.here == f"{first[0]:.4f} at 0.5 %, {first[1]:.4f} at 1 %, {first[2]:.4f} at 2 %"
    assert claims.emi_first({**groups, "1 %": []}).word == "not run here"


def swinging(seed, *spans):
    """A record whose EMI goes up and down by so much over so many cycles."""
    return cycled(seed, [size * (-1) ** i for count, size in spans for i in range(count)])


def test_emi_declines_stabilises_and_swings_less_at_larger_budgets():
    falling = [cycled(seed, [0.03 + seed / 100] * 5 + [0.01] * 25) for seed in range(3)]
    assert claims.emi_declines({"2 %": falling}).word == "holds"
    assert "+2.00, +3.00, +4.00" in claims.emi_declines({"2 %": falling}).sentence
    assert claims.emi_declines({"2 %": falling, "1 %": []}).word == "not run here"
    assert claims.emi_declines({"2 %": [cycled(0, [0.01] * 30)]}).word == "does not hold"
    assert claims.emi_declines({"2 %": [cycled(0, [0.03, 0.01])]}).word == "not run here"  # too few cycles

    calm = [swinging(seed, (20, 0.03 + seed / 1000), (10, 0.01)) for seed in range(3)]
    late = [swinging(seed, (10, 0.05 + seed / 1000), (10, 0.01), (10, 0.02)) for seed in range(3)]
    assert claims.emi_stabilises(calm).word == "holds"
    assert claims.emi_stabilises(late).word == "holds in part"  # calmer than all before, not than the ten before
    assert claims.emi_stabilises([swinging(0, (20, 0.01), (10, 0.03))]).word == "does not hold"
    assert claims.emi_stabilises([]).word == "not run here"

    groups = {"0.5 %": [swinging(seed, (30, 0.02 + seed / 1000)) for seed in range(3)]}
    groups["1 %"] = [swinging(seed, (30, 0.01 + seed / 1000)) for seed in range(3)]
    groups["2 %"] = [swinging(seed, (30, 0.001)) for seed in range(3)]
    assert claims.budget_tradeoff(groups).word == "holds"
    assert claims.budget_tradeoff({**groups, "2 %": [swinging(0, (30, 0.1))]}).word == "does not hold"


def test_entropy_over_cycles_by_its_rules():
    none = [0.0] * 30
    sure = [cycled(seed, none, np.minimum(100 + seed + 40 * np.arange(31), 700), 600 - 20 * np.arange(31)) for seed in range(3)]
    assert claims.in_bins(sure[0], claims.LOWEST)[:2].tolist() == [10, pytest.approx(100 * 140 / 990)]
    assert claims.entropy_start(sure).sentence.startswith("Upper half minus lower half, seed by seed, in points: +20.00")
    assert claims.entropy_start([cycled(0, none, 500, 400)]).word == "does not hold"
    assert claims.entropy_shifts({"2 %": sure}).word in ("holds", "holds in part")
    assert claims.entropy_shifts({"2 %": [cycled(0, none, 100, 10 * np.arange(31))]}).word == "does not hold"
    assert claims.entropy_shifts({"2 %": sure, "1 %": []}).word == "not run here"
    assert claims.entropy_persists({"2 %": sure}).word == "holds in part"  # 20 a cycle: the last cycle has none
    assert "in 9 of the cycles 21 to 30" in claims.entropy_persists({"2 %": sure}).sentence
    assert claims.entropy_persists({"2 %": [cycled(0, none, 9, 1)]}).word == "holds"
    assert claims.entropy_persists({"2 %": [cycled(0, none, 9, 0)]}).word == "does not hold"
    assert claims.entropy_persists({"2 %": [cycled(0, [0.0], 9, 1)]}).word == "not run here"


@pytest.mark.parametrize(("pixels", "word"), [(510, "holds"), (400, "holds in part"), (100, "does not hold")])
def test_pixels_gather_in_the_lowest_bin_or_not(pixels, word):
    said = claims.gathers_low([cycled(0, [0.0] * 30, pixels, 0)], 0, 30, 50, 33.3)
    assert said.word == word
    assert said.here == f"{pixels / 10:.1f} to {pixels / 7:.1f} % of the pool over one seed"
    assert claims.gathers_low([cycled(0, [0.0] * 5, pixels, 0)], 0, 30, 50, 33.3).word == "not run here"


def test_a_map_is_lighter_in_number_and_in_share():
    none, few, many = [0.0] * 30, [cycled(0, [0.0] * 30, 100, 0)], [cycled(0, [0.0] * 30, 300, 0)]
    assert claims.entropy_lighter({"0.5 %": many, "2 %": few}).word == "holds in part"  # one seed is too few to be clear
    assert "in pixels: +200.00" in claims.entropy_lighter({"0.5 %": many, "2 %": few}).sentence
    assert claims.entropy_lighter({"0.5 %": few, "2 %": many}).word == "does not hold"
    assert claims.entropy_lighter({"0.5 %": [], "2 %": many}).word == "not run here"
    clear = [cycled(seed, none, 300 + seed, 0) for seed in range(3)], [cycled(seed, none, 100, 0) for seed in range(3)]
    assert claims.entropy_lighter(dict(zip(("0.5 %", "2 %"), clear, strict=True))).word == "holds"


def test_budgets_share_all_but_what_a_cycle_asks_for():
    studies = claims.budgets([0, 1])
    assert studies["2 %"] == [cpdgal.Study(), cpdgal.Study(seed=1)]  # the reference
    assert studies["0.5 %"][1].changes == {"acquired": 0.005}


def test_more_separated_needs_both_measures():
    def scores(silhouette, purity):
        values = {"silhouette, hundredths": silhouette, "purity, %": purity, "linear probe, %": 0.0}
        return {seed: {name: value + seed / 10 for name, value in values.items()} for seed in range(3)}

    apart, mixed = scores(40.0, 95.0), {0: scores(20.0, 80.0)[0], 1: scores(21.0, 79.0)[1], 2: scores(20.5, 80.0)[2]}
    assert claims.more_separated(apart, mixed, ("a", "b")).word == "holds"
    assert claims.more_separated(mixed, apart, ("b", "a")).word == "does not hold"
    assert claims.more_separated(scores(40.0, 70.0), mixed, ("a", "b")).word == "holds in part"
    assert claims.more_separated({}, mixed, ("a", "b")).word == "not run here"


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ({"small": {0: 90.0}, "middle": {0: 92.0}, "large": {0: 91.0}}, "holds"),
        ({"small": {0: 90.0}, "middle": {0: 92.0}, "large": {0: 91.6}}, "holds in part"),
        ({"small": {0: 91.6}, "middle": {0: 92.0}, "large": {0: 80.0}}, "does not hold"),
        ({"small": {0: 90.0}, "poor": {0: 1.0}, "middle": {0: 92.0}, "none": {}, "large": {0: 91.0}}, "holds"),
        ({"small": {0: 90.0}, "middle": {0: 92.0}, "large": {}}, "not run here"),
        ({"small": {0: 90.0}, "middle": {}, "large": {0: 91.0}}, "not run here"),
        ({"small": {}, "middle": {}, "large": {}}, "not run here"),
    ],
)
def test_more_helps_until_it_is_too_much_or_not(measured, word):
    assert peak(measured).word == word


def test_a_peak_is_compared_over_shared_seeds():
    said = peak({"small": {0: 90.0, 1: 80.0}, "middle": {0: 92.0, 1: 92.0}, "large": {0: 91.0}})
    assert said.here == "middle: +7.00 points against small, +1.00 against large"
    assert "(2 seeds)" in said.sentence
    assert "(one seed)" in said.sentence


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["holds", "holds"], "holds"),
        (["does not hold", "does not hold"], "does not hold"),
        (["holds", "does not hold"], "holds in part"),
        (["holds in part", "holds in part"], "holds in part"),
        (["holds", "not run here"], "not run here"),
    ],
)
def test_a_claim_of_several_parts(words, word):
    parts = {name: claims.Verdict(each, f"{each}!", "Said.") for name, each in zip("ab", words, strict=True)}
    assert together(parts) == (word, f"a {words[0]}!; b {words[1]}!", "Said. Said.")


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
    changes = claims.against_best(table, ended(table, at_5=[90.0, 91.0, 10.0], at_100=[92.0, 94.0]))
    assert changes.change["5"] == pytest.approx(-2.5)
    assert changes.deviation["5"] == pytest.approx(np.sqrt(0.5))
    assert changes.published["5"] == pytest.approx(98.20 - 98.94)
    assert (changes.change["100"], changes.published["100"]) == (0, 0)
    assert changes.change[["10", "500", "1000"]].isna().all()
    assert claims.against_best(table, ended(table, at_5=[90.0])).change.isna().all()


def test_the_agreement_of_a_table_in_a_sentence():
    table = TABLES[5]
    same = ended(table, **{f"at_{name}": [each] for name, each in zip(table.settings, table.published, strict=True)})
    assert "is +1.00" in claims.agreement(table, same)
    assert "5 settings" in claims.agreement(table, same)
    assert "four settings have to be run" in claims.agreement(table, ended(table, at_5=[90.0]))


def test_what_is_on_record_and_what_is_missing():
    table = TABLES[5]
    studies = {name: [Study(seed=seed) for seed in range(2)] for name in ("5", "10", "100")}
    found = ended(table, at_5=[90.0, 91.0], at_100=[92.0])
    assert claims.on_record(studies, found) == "3 of 6 runs are on record; missing: 10 (seeds 0, 1); 100 (seed 1)."
    assert claims.on_record({"5": studies["5"]}, found) == "2 of 2 runs are on record."


def ended_peers(cut=MappingProxyType({}), **accuracies):
    """Groups by title of a run a value, its OA, with AA and kappa a point and two points below; `cut` by method, as `CUT`."""
    groups = {peer.title: [] for peer in PEERS.values()} | {"CPDGAL": []}
    for name, values in accuracies.items():
        title = PEERS[name].title if name in PEERS else "CPDGAL"
        for seed, value in enumerate(values):
            scores = pd.Series({"labels": 512, "OA": value, "AA": value - 1, "kappa": value - 2})
            study = Study(method=name, seed=seed, **cut.get(name, {}))
            groups[title].append(Run(study, scores, provenance={"seconds": [60.0 * (seed + 1)]}))
    return groups


@pytest.mark.parametrize(
    ("ours", "word"), [([95.0], "holds"), ([91.0], "holds in part"), ([80.0], "does not hold"), ([], "not run here")]
)
def test_all_peers_are_outperformed_or_not(ours, word):
    verdict = claims.outperforms(ended_peers(cpdgal=ours, ssftt=[90.0, 91.8], sprn=[90.5], gaht=[94.0]))
    assert verdict.word == word
    assert ours == [] or f"{len(PEERS) - 3} more are not run yet" in verdict.sentence
    assert claims.outperforms(ended_peers(cpdgal=[99.0])).word == "not run here"


def test_a_cut_recipe_is_no_evidence():
    accuracies = {name: [scores[0]] for name, scores in claims.TABLE_1.items()} | {"dctn": [20.0], "datn": [99.0]}
    groups = ended_peers(claims.CUT, cpdgal=[98.0], **accuracies)
    assert not {"DCTN", "DATN", "SSAN"} & claims.whole(groups).keys()
    verdict = claims.outperforms(groups)
    assert verdict.word == "holds"
    assert verdict.here == "above 7 of 7 peers run whole"
    assert verdict.sentence.endswith(f"5 more were cut and do not count. {len(PEERS) - 12} more are not run yet.")
    assert "is +1.00 (" in claims.order(groups, claims.stated(), "the paper's order")
    assert claims.outperforms(ended_peers(claims.CUT, cpdgal=[98.0], dctn=[20.0])).word == "not run here"


def test_table_1_stands_beside_the_papers():
    table = claims.table_1(ended_peers(ssftt=[90.0, 92.0], cpdgal=[95.0]))
    assert table.loc["SSFTT"].tolist() == [
        "512",
        "91.00 ± 1.41",
        "93.15",
        "90.00 ± 1.41",
        "90.03",
        "89.00 ± 1.41",
        "92.18",
        2,
        "",
    ]
    assert table.loc["CPDGAL", ["OA, %", "paper's OA", "paper's AA", "paper's kappa"]].tolist() == [
        "95.00",
        "97.34",
        "96.74",
        "97.21",
    ]
    assert table.loc["SPRN", ["labels", "OA, %", "paper's OA", "seeds"]].tolist() == ["", "not run", "90.84", 0]
    assert table.loc["SSAN", "paper's OA"] == ""


def test_a_cut_recipe_is_told():
    def told(**values):
        return claims.capped_at([Run(Study(**values), {})])

    assert told(method="dctn", epochs=15) == "15 of 200 epochs"
    assert told(method="ssan", components=30) == "30 components for its raw bands"
    assert told(method="ssan", components=30, epochs=10) == "10 of 100 epochs, 30 components for its raw bands"
    assert told(method="ssftt") == told(method="cpdgal", epochs=1) == claims.capped_at([]) == ""


def test_contenders_are_all_peers_on_the_same_labels():
    plain, capped = (claims.contenders([0, 1], capped=capped, split="block") for capped in (False, True))
    assert [*plain] == [*capped] == [*(peer.title for peer in PEERS.values()), "CPDGAL, no loop", "ViT, no loop"]
    for name, peer in PEERS.items():
        assert plain[peer.title] == [Study(method=name, seed=seed, split="block") for seed in (0, 1)]
        assert capped[peer.title][1].changes == claims.CUT.get(name, {})
    assert {each.epochs for each in claims.contenders([0], profile="smoke")["DCTN"]} == {1}
    labels = {(s.cycles, s.initial, s.stratified, s.pool) for each in capped.values() for s in each}
    assert labels == {(0, 0.5, True, 0.1)}


def test_the_papers_order_is_compared_with_ours():
    first = {name: [scores[0]] for name, scores in claims.TABLE_1.items()}
    backwards = {name: [-value] for name, (value,) in first.items()}
    for accuracies, said in (({**first, "cpdgal": [99.0]}, ("+1.00", "13")), (backwards, ("-1.00", "12"))):
        sentence = claims.order(ended_peers(**accuracies), claims.stated(), "the paper's order")
        assert f"with the paper's order is {said[0]} (" in sentence
        assert f"{said[1]} methods)" in sentence
    few = claims.order(ended_peers(ssftt=[1.0]), claims.stated(), "the paper's order")
    assert few == "For a rank correlation with the paper's order, four methods have to be run."


def test_what_methods_weigh_and_cost(tmp_path):
    store = cpdgal.Store(tmp_path, packaged=False)
    assert claims.inference(store).empty
    (tmp_path / "inference.csv").write_text("# a machine\nmethod,pixels a second,MiB\ncpdgal,900,60\nssftt,100,30\n")
    table = claims.weighed(ended_peers(ssftt=[90.0, 92.0]), claims.inference(store))
    assert table.loc["SSFTT", ["OA, %", "minutes", "pixels a second", "MiB"]].tolist() == [91.0, 1.5, 100.0, 30.0]
    assert table.loc["SSFTT", ["parameters", "paper, millions"]].tolist() == [153_224, 0.95]
    assert table.loc["CPDGAL", ["parameters", "paper, millions", "pixels a second"]].tolist() == [87_605, 0.09, 900.0]
    assert table.loc["SPRN", ["OA, %", "minutes", "pixels a second"]].isna().all()
    assert table.loc["CPDGAL", "multiply-adds, millions"] == pytest.approx(size("cpdgal").multiply_adds / 1e6)
    assert claims.weighed(ended_peers(), pd.DataFrame())["parameters"].notna().all()


def test_measured_rows_stay_until_another_machine_measures(tmp_path, monkeypatch):
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "inference.py"))
    write = benchmark["write"]
    monkeypatch.setitem(write.__globals__, "RESULTS", tmp_path / "inference.csv")
    store = cpdgal.Store(tmp_path, packaged=False)
    for name, speed in (("cpdgal", 900.0), ("ssan", 4.0), ("cpdgal", 1000.0)):
        write(name, "one machine", {"pixels a second": speed, "built first: MiB": None})
    kept = claims.inference(store)
    assert kept["pixels a second"].to_dict() == {"ssan": 4.0, "cpdgal": 1000.0}
    assert kept["built first: MiB"].isna().all()
    write("sprn", "another machine", {"pixels a second": 7.0, "built first: MiB": 3.0})
    assert claims.inference(store)["pixels a second"].to_dict() == {"sprn": 7.0}
    assert [path.name for path in tmp_path.iterdir()] == ["inference.csv"]


def test_accuracies_by_class_are_means_over_seeds():
    rows = [pd.DataFrame({"accuracy": values}, ["corn", "oats"]) for values in ([90.0, np.nan], [70.0, 50.0])]
    runs = [Run(Study(seed=seed), {}, row) for seed, row in enumerate(rows)]
    table = claims.by_class({"CPDGAL": runs, "SSFTT": [], "ViT": runs[1:]})
    assert table.to_dict("index") == {"CPDGAL": {"corn": 80.0, "oats": 50.0}, "ViT": {"corn": 70.0, "oats": 50.0}}
