"""The rules of verdicts, and the tests and intervals behind them.

A verdict is one word, what was measured in short, and a sentence. The rules are the same on every page:

- `reached`, for a figure: "holds" when the mean over seeds is at most half a point below the paper's, "holds in part" at most
  two points, else "does not hold".
- `better`, for "A outperforms B": differences are taken seed by seed. "holds" when a paired t-test over three seeds or more is
  clear at the 5 % level, "holds in part" when the mean difference is positive but not clear, else "does not hold".
- `best`, for "this setting is best": "holds" when it is best here too, "holds in part" when it is at most half a point below
  the best here, else "does not hold".
- `agrees`, for a count: "holds" when ours is within 1 % of the paper's, "holds in part" within 5 %, else "does not hold".

Each is "not run here" where a run that it needs is not on record.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..records import Record
from ..study import Study


class Verdict(NamedTuple):
    """What records answer to a claim."""

    word: str  # "holds", "holds in part", "does not hold" or "not run here"
    here: str  # what was measured, in short
    sentence: str


def not_run(sentence: str = "No run is on record yet.") -> Verdict:
    """The verdict on what was not run."""
    return Verdict("not run here", "not run", sentence)


def final_scores(records: Sequence[Record], score: str = "OA") -> dict[int, float]:
    """The score at the end of each record, by seed."""
    return {record.study.seed: float(record.final[score]) for record in records}


def mean_over_seeds(by_seed: Mapping[int, float]) -> float:
    """The mean over seeds; NaN for none."""
    return float(np.mean(list(by_seed.values()))) if by_seed else np.nan


def spread(values) -> str:
    """Mean and standard deviation over seeds with two decimals, as "96.87 ± 0.31"; one value alone, and "not run" for none."""
    values = np.asarray(list(values), dtype=float)
    return (
        f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
        if len(values) > 1
        else f"{values[0]:.2f}"
        if len(values)
        else "not run"
    )


def reached(published: float, measured: Mapping[int, float]) -> Verdict:
    """On a published percentage, given the measured one at every seed."""
    if not measured:
        return not_run(f"The paper gives {published:.2f} %; no run is on record yet.")
    values = np.array(list(measured.values()))
    gap = values.mean() - published
    word = "holds" if gap >= -0.5 else "holds in part" if gap >= -2 else "does not hold"
    sign = "above" if gap > 0 else "below"
    return Verdict(
        word,
        f"{spread(values)} %",
        f"The mean over {seed_count(len(values))} is {values.mean():.2f} %, {abs(gap):.2f} points {sign} the paper's "
        f"{published:.2f} %.",
    )


def better(left: Mapping[int, float], right: Mapping[int, float], names: tuple[str, str], unit: str = "points") -> Verdict:
    """On "left outperforms right", given a score of both at every seed (the higher the better)."""
    seeds = sorted(set(left) & set(right))
    if not seeds:
        return not_run(f"No seed has both {names[0]} and {names[1]} yet.")
    differences = np.array([left[seed] - right[seed] for seed in seeds])
    said = f"{names[0]} minus {names[1]}, seed by seed, in {unit}: {', '.join(f'{each:+.2f}' for each in differences)}."
    clear = False
    if len(seeds) < 3:
        said += " Too few seeds for a test."
    elif np.ptp(differences) > 0:
        test = stats.ttest_1samp(differences, 0)
        low, high = test.confidence_interval()
        clear = bool(test.pvalue < 0.05)
        said += (
            f" Mean {differences.mean():+.2f}, 95 % interval {low:+.2f} to {high:+.2f} (paired t-test, p = {test.pvalue:.3f}): "
            f"at the 5 % level the two {'differ' if clear else 'cannot be told apart'}."
        )
    mean = differences.mean()
    word = "does not hold" if mean <= 0 else "holds" if clear else "holds in part"
    return Verdict(word, f"{mean:+.2f} {unit} over {seed_count(len(seeds))}", said)


def best(claimed: str, measured: Mapping[str, Mapping[int, float]]) -> Verdict:
    """On "this setting is best", given the percentage of every setting that was run at every seed."""
    means = {name: mean_over_seeds(values) for name, values in measured.items() if values}
    if claimed not in means or len(means) < 2:
        return not_run(f"{claimed} and at least one other setting have to be run first.")
    winner = max(means, key=means.__getitem__)
    gap = means[winner] - means[claimed]
    word = "holds" if winner == claimed else "holds in part" if gap <= 0.5 else "does not hold"
    missing = len(measured) - len(means)
    said = f"Best here is {winner} with {means[winner]:.2f} %; the paper's best, {claimed}, has {means[claimed]:.2f} %"
    return Verdict(
        word,
        f"best: {winner}, {gap:.2f} points above {claimed}" if gap else f"best: {claimed}",
        said + (f" ({missing} of {len(measured)} settings are not run yet)." if missing else "."),
    )


def agrees(published: float, counted: float, unit: str) -> Verdict:
    """On a published size of the network, given ours in the same unit."""
    off = abs(counted / published - 1)
    word = "holds" if off <= 0.01 else "holds in part" if off <= 0.05 else "does not hold"
    return Verdict(
        word, f"{counted:,.5g} {unit}", f"Here {counted:,.5g} {unit}, {100 * off:.2f} % off the paper's {published:,.5g}."
    )


def combined(verdicts: Mapping[str, Verdict]) -> Verdict:
    """On a claim that joins others: "holds" when all do, "does not hold" when none does, "not run here" when one is not run,
    else "holds in part"."""
    words = {each.word for each in verdicts.values()}
    word = "not run here" if "not run here" in words else words.pop() if len(words) == 1 else "holds in part"
    here = "; ".join(f"{name} {each.here}" for name, each in verdicts.items())
    return Verdict(word, here, " ".join(each.sentence for each in verdicts.values()))


def rank_agreement(published: Sequence[float], measured: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's correlation of two columns and its 95 % interval (Fisher's z with Bonett and Wright's error, 2000).

    NaN for fewer than four pairs; settings without a run (NaN) are left out.
    """
    pairs = np.array([published, measured], dtype=float)
    pairs = pairs[:, ~np.isnan(pairs).any(0)]
    if pairs.shape[1] < 4 or (np.ptp(pairs, axis=1) == 0).any():
        return (np.nan,) * 3
    rho = float(stats.spearmanr(*pairs).statistic)
    error = 1.96 * np.sqrt((1 + rho**2 / 2) / (pairs.shape[1] - 3))
    z = np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9))
    return rho, float(np.tanh(z - error)), float(np.tanh(z + error))


def rank_sentence(published: Sequence[float], measured: Sequence[float], what: str, whose: str = "the paper's order") -> str:
    """The `rank_agreement` of two columns of settings or methods, which `what` names, as a sentence."""
    rho, low, high = rank_agreement(published, measured)
    if np.isnan(rho):
        return f"For a rank correlation with {whose}, four {what} have to be run."
    count = int(np.isfinite(np.add(published, measured)).sum())
    return f"Spearman's rank correlation with {whose} is {rho:+.2f} (95 % interval {low:+.2f} to {high:+.2f}, {count} {what})."


def on_record(studies: Mapping[str, Sequence[Study]], groups: Mapping[str, Sequence[Record]]) -> str:
    """How many of the studies there are records of, and which are missing, as a sentence."""
    missing = {
        name: sorted({study.seed for study in each} - {record.study.seed for record in groups.get(name, ())})
        for name, each in studies.items()
    }
    total = sum(map(len, studies.values()))
    there = total - sum(map(len, missing.values()))
    said = "; ".join(
        f"{name} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))})" for name, seeds in missing.items() if seeds
    )
    return f"{there} of {total} runs are on record" + (f"; missing: {said}." if said else ".")


def seed_count(count: int) -> str:
    """So many seeds, in words."""
    return f"{count} seeds" if count > 1 else "one seed"
