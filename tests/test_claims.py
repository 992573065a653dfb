"""Verdicts follow their rules, and turn when the records turn."""

import numpy as np
import pytest
from scipy import stats

from cpdgal import claims
from cpdgal.claims import TABLES, best, better, rank_agreement, reached, spread


def test_spread():
    assert spread([96.0, 98.0]) == "97.00 ± 1.41"
    assert spread([96.874]) == "96.87"


@pytest.mark.parametrize(
    ("measured", "word"),
    [
        ([97.0], "holds"), ([99.0, 98.0], "holds"), ([96.9, 96.8], "holds"), ([96.0], "holds in part"),
        ([90.0, 96.0], "does not hold"), ([], "not run here"),
    ],
)  # fmt: skip
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
