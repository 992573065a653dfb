"""Verdicts follow their rules."""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import stats

from cpdgal.book.verdicts import Verdict, agrees, best, better, combined, on_record, rank_agreement, reached, spread
from cpdgal.study import Study


def test_spread():
    assert spread([96.0, 98.0]) == "97.00 ± 1.41"
    assert spread([96.874]) == "96.87"
    assert spread({}.values()) == "not run"


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
    assert agrees(100, counted, "parameters").word == word


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
        (["holds in part", "holds in part"], "holds in part"),
        (["holds", "not run here"], "not run here"),
    ],
)
def test_a_claim_of_several_parts(words, word):
    parts = {name: Verdict(each, f"{each}!", "Said.") for name, each in zip("ab", words, strict=True)}
    assert combined(parts) == (word, f"a {words[0]}!; b {words[1]}!", "Said. Said.")


def test_what_is_on_record_and_what_is_missing():
    studies = {name: [Study(seed=seed) for seed in range(2)] for name in ("5", "10", "100")}
    found = {"5": [Run(Study(seed=0)), Run(Study(seed=1))], "100": [Run(Study())]}
    assert on_record(studies, found) == "3 of 6 runs are on record; missing: 10 (seeds 0, 1); 100 (seed 1)."
    assert on_record({"5": studies["5"]}, found) == "2 of 2 runs are on record."


class Run(NamedTuple):
    """As much of a record as a list needs."""

    study: Study
