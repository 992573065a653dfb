"""Intervals, adjusted p-values and seeds needed: against planted data, worked examples and simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import cpdgal
from cpdgal.book import comparison, uncertainty
from cpdgal.book.uncertainty import block_bootstrap, claim_table, holm, power_table, seeds_needed

MAP = np.indices((150, 150)).reshape(2, -1).T  # 100 whole blocks of 15 x 15 pixels


def drawn_by_block(share: float, rng) -> np.ndarray:
    """Whether the answer is right for each pixel of `MAP`, alike within a block."""
    return (rng.random((10, 10)) < share)[tuple(MAP.T // 15)]


def test_independent_pixels_have_the_usual_interval():
    found = block_bootstrap(MAP, np.random.default_rng(1).random(len(MAP)) < 0.9, rng=np.random.default_rng(0))
    assert found.wider == pytest.approx(1, abs=0.2)  # a deviation over a hundred blocks is that uncertain
    assert found.blocks[0] < found.value < found.blocks[1]
    assert found.pixels == pytest.approx(found.blocks, abs=0.15)


def test_blocks_that_are_right_or_wrong_as_a_whole_count_once():
    """An interval as wide as that of a hundred draws, and not of 22,500."""
    right = drawn_by_block(0.7, np.random.default_rng(1))
    found = block_bootstrap(MAP, right, rng=np.random.default_rng(0))
    assert found.wider == pytest.approx(15, rel=0.05)
    error = 100 * np.sqrt(right.mean() * (1 - right.mean()) / 100)
    assert found.blocks[1] - found.blocks[0] == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert block_bootstrap(MAP, right, rng=np.random.default_rng(0), block=5).wider == pytest.approx(5, rel=0.05)


def test_a_difference_is_paired():
    """What both have in common does not widen it; two methods that answer alike differ by nothing."""
    rng = np.random.default_rng(1)
    common = drawn_by_block(0.8, rng)
    one, other = (np.where(rng.random(len(MAP)) < 0.02, ~common, common) for _ in range(2))
    alone, both = (block_bootstrap(MAP, one, *second, rng=np.random.default_rng(0)) for second in ((), (other,)))
    assert both.value == pytest.approx(100 * (one.mean() - other.mean()))
    assert both.wider == pytest.approx(1, abs=0.2)
    assert np.ptp(both.blocks) < np.ptp(alone.blocks) / 10
    assert both.pixels == pytest.approx(
        both.value + np.array([-1.96, 1.96]) * 100 * stats.sem(one.astype(int) - other), rel=1e-3
    )
    same = block_bootstrap(MAP, one, one, rng=np.random.default_rng(0))
    assert (same.value, same.pixels, same.blocks) == (0, (0, 0), (0, 0))
    assert np.isnan(same.wider)


def test_an_interval_by_blocks_is_that_of_a_loop():
    """Blocks of unequal size, one by one; and a generator in one state gives one interval."""
    rng = np.random.default_rng(2)
    positions = rng.permutation(MAP)[:3000]
    right = rng.random(3000) < positions[:, 0] / 150
    parts = {}
    for (row, column), each in zip(positions, right, strict=True):
        parts.setdefault((row // 15, column // 15), []).append(each)
    values = [parts[key] for key in sorted(parts)]
    means = []
    for times in np.random.default_rng(5).multinomial(len(values), [1 / len(values)] * len(values), 500):
        means.append(np.mean(np.concatenate([np.tile(part, many) for part, many in zip(values, times, strict=True)])))
    found = block_bootstrap(positions, right, rng=np.random.default_rng(5), resamples=500)
    assert found.blocks == pytest.approx(np.percentile(100 * np.array(means), [2.5, 97.5]))
    assert found == block_bootstrap(positions, right, rng=np.random.default_rng(5), resamples=500)


@pytest.mark.parametrize(
    ("positions", "answers", "wanted"),
    [
        (
            MAP.T,
            [np.ones(len(MAP), bool)],
            r"positions have the shape \(n, 2\) and answers \(n,\), not \(2, 22500\), \(22500,\)",
        ),
        (MAP, [np.ones(7, bool)], r"answers \(n,\), not \(22500, 2\), \(7,\)"),
        (MAP, [np.ones(len(MAP), bool), np.ones((len(MAP), 1), bool)], r"\(22500,\), \(22500, 1\)"),
        (MAP, [np.ones(len(MAP))], "answers are true or false"),
        (MAP + 0.5, [np.ones(len(MAP), bool)], "positions are whole numbers"),
        (MAP[:3], [np.ones(3, bool)], "lie in 1 block of 15 x 15"),
        (MAP[:0], [np.ones(0, bool)], "lie in 0 block"),
    ],
)
def test_other_shapes_are_refused(positions, answers, wanted):
    with pytest.raises(ValueError, match=wanted):
        block_bootstrap(positions, *answers, rng=np.random.default_rng(0))


def test_networks_on_the_same_pixels_are_compared(record, synthetic):
    found = uncertainty.interval_table(synthetic, {"one": record, "other": record})
    assert list(found.index) == ["one: OA, %", "other: OA, %", "one minus other, points"]
    assert found.loc["one: OA, %", "measured"] == f"{record.final.OA:.2f}"
    assert found.loc["one minus other, points"].tolist() == ["+0.00", "+0.00 to +0.00", "+0.00 to +0.00", "nan"]
    assert uncertainty.interval_table(synthetic, {}).empty


def test_holm_by_hand():
    """0.01 x 4, 0.02 x 3, 0.03 x 2 and 0.04 x 1, none below the one before."""
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9, 0.001]), [1, 1, 0.003])
    assert holm([]).shape == (0,)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_no_adjustment_and_bonferroni(p):
    adjusted, p = holm(p), np.array(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * p)).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()
    assert adjusted.min() == min(1, len(p) * p.min())


@pytest.mark.parametrize("p", [[0.1, np.nan], [-0.1], [1.1], [[0.1]]])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="p-values are numbers from 0 to 1"):
        holm(p)


def test_claims_with_three_seeds_are_tested():
    claims = {
        "clear": ({0: 97.0, 1: 97.2, 2: 97.1}, 96.0),
        "open": ({0: 1.0, 1: -0.5, 2: 0.7, 3: 0.1}, 0.0),
        "few": ({0: 5.0, 1: 5.0}, 0.0),
        "none": ({}, 0.0),
    }
    table = claim_table(claims)
    assert table["seeds"].tolist() == [3, 4, 2, 0]
    assert table["mean"].tolist() == ["97.10", "0.33", "5.00", "not run"]
    assert table["threshold"].tolist() == ["96.00", "0.00", "0.00", "0.00"]
    t = 1.1 / (0.1 / np.sqrt(3))
    p = [stats.t.sf(t, 2), stats.ttest_1samp([1.0, -0.5, 0.7, 0.1], 0).pvalue / 2]
    assert table["p"].tolist() == [f"{p[0]:.3f}", f"{p[1]:.3f}", "", ""]
    assert table["p by Holm"].tolist() == [f"{2 * p[0]:.3f}", f"{p[1]:.3f}", "", ""]  # two tests, not four
    assert claim_table({"none": ({}, 0.0)})["p by Holm"].tolist() == [""]


def test_values_without_deviation_have_a_p_value():
    table = claim_table(
        {name: (dict.fromkeys(range(3), at), 0.0) for name, at in (("above", 2.0), ("at", 0.0), ("below", -1.0))}
    )
    assert table["p"].tolist() == ["< 0.001", "1.000", "1.000"]


def test_seeds_needed_are_the_known_ones():
    assert power_table(0.75).to_dict() == {"0.16": 175, "0.5": 20, "1": 7, "2": 4}
    assert seeds_needed(2.8, 14.0) == 199  # as in Cohen (1988): an effect of 0.2 at 80 % takes 199 pairs
    assert seeds_needed(0.16, 0.01) == 2


@pytest.mark.parametrize(("difference", "deviation"), [(1.0, 0.75), (0.5, 0.75)])
def test_seeds_needed_by_simulation(difference, deviation):
    rng, power = np.random.default_rng(0), []
    for seeds in (seeds_needed(difference, deviation) - 1, seeds_needed(difference, deviation)):
        values = rng.normal(difference, deviation, (100_000, seeds))
        power.append((stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05).mean())
    assert power[0] < 0.8 + 0.004
    assert power[1] > 0.8 - 0.004


@settings(deadline=None)
@given(st.floats(0.05, 5), st.floats(0.05, 5))
def test_more_deviation_takes_more_seeds(difference, deviation):
    needed = seeds_needed(difference, deviation)
    assert 2 <= needed <= seeds_needed(difference, 1.1 * deviation)
    assert needed <= seeds_needed(difference, deviation, power=0.9)


@pytest.mark.parametrize("pair", [(0, 1), (1, 0), (-1, 1), (np.nan, 1), (1, np.inf)])
def test_seeds_for_nothing_are_refused(pair):
    with pytest.raises(ValueError, match="positive numbers of points"):
        seeds_needed(*pair)


def test_a_deviation_has_an_interval():
    """Of a hundred samples in a row, 95 hold the deviation that they were drawn with, more or less."""
    rng = np.random.default_rng(0)
    found = [uncertainty.deviation_interval(rng.normal(0, 2, 4)) for _ in range(2000)]
    assert np.mean([low <= 2 <= high for _, low, high in found]) == pytest.approx(0.95, abs=0.015)
    with pytest.raises(ValueError, match="takes 3 of them or more, not 2"):
        uncertainty.deviation_interval([1.0, 2.0])


def looked(method, seed, *accuracies, query="margin"):
    """A record with so many looks, a label more at each."""
    cycles = pd.DataFrame({"labels": 100 + np.arange(len(accuracies)), "OA": accuracies})
    cycles = cycles.assign(cycle=cycles.index, AA=cycles.OA - 1, kappa=cycles.OA - 2)
    return cpdgal.Record(cpdgal.Study(method=method, seed=seed, query=query), cycles, *[None] * 6)


def test_the_eight_headline_claims():
    groups = {
        "CPDGAL": [looked("cpdgal", 0, 50.0, 91.0, 92.0), looked("cpdgal", 1, 60.0, 94.0, 94.0)],
        "ViT": [looked("vit", 1, 80.0, 80.0, 83.0)],
        comparison.RANDOM: [looked("cpdgal", 0, 50.0, 60.0, 95.0, query="random")],
        "coordinates, spread out": [looked("coordinates", seed, 70.0) for seed in range(3)],
    }
    peers = {"SSFTT": [looked("ssftt", 0, 90.0)], "SPRN": [looked("sprn", 0, 89.0)], "GAHT": []}
    peers["CPDGAL, no loop"] = [looked("cpdgal", 0, 99.0)]  # no other method
    claims = comparison.headline(groups, peers)
    assert len(claims) == 8
    own = {0: 233 / 3, 1: 248 / 3}
    assert claims["OA reaches the paper's 97.34 %"] == (pytest.approx(own), pytest.approx(96.84))
    assert claims["kappa reaches the paper's 97.21 %"][0] == pytest.approx({seed: value - 2 for seed, value in own.items()})
    assert claims["OA over the best other method of Table 1, points"] == ({0: 2.0}, 0.0)
    assert claims["AA over the best other method of Table 1, points"] == ({0: 2.0}, 0.0)
    assert claims["OA over ViT, points"][0] == pytest.approx({1: 248 / 3 - 81})
    assert claims["OA over coordinates, spread out, points"][0] == pytest.approx(
        {seed: value - 70 for seed, value in own.items()}
    )
    assert claims["labels that the margin saves over random queries"] == ({0: 1}, 0.0)  # to 91 %: 101 labels, and 102 by chance
    assert all(values == {} for values, _ in comparison.headline({}, {}).values())


def test_the_first_pairs_on_record_say_how_differences_vary(tmp_path, monkeypatch):
    def on_record(studies, store):
        return {
            name: [looked(s.method, s.seed, 80.0 + s.seed % 100 * (name == "CPDGAL")) for s in each if s.split == store]
            for name, each in studies.items()
        }

    monkeypatch.setattr(comparison, "gather", on_record)
    where, found = comparison.between_seeds("validation")
    assert where.startswith("on validation pixels")
    assert found == {101: 1.0, 102: 2.0, 103: 3.0}
    said = comparison.seeds_sentence(where, found)
    assert "standard deviation of 1.00 points between seeds" in said
    assert f"{seeds_needed(0.16, 1.0)} seeds ({seeds_needed(0.16, 0.5207)} to " in said
    assert "It will vary less on the hold-out" in said
    assert "vary less" not in comparison.seeds_sentence("under the paper's protocol", found)
    assert comparison.between_seeds("random")[1] == {seed: float(seed) for seed in range(5)}
    assert comparison.between_seeds("block") == ("", {})
    assert "Fewer than three pairs" in comparison.seeds_sentence("", {})
