"""The rules of verdicts, and the intervals behind them.

A claim is put as "this number lies above that threshold": a difference between A and B above 0, taken seed by seed, or a score
above the paper's figure less half a point. The word is the first of these that applies:

- *not run here*: no run that decides it is on record;
- *undecided*: fewer than three seeds;
- *holds*: the whole 95 % interval over seeds (Student's t) lies above the threshold;
- *does not hold*: the whole interval lies below the threshold plus a margin: half a point for accuracies, or the gain that the
  paper states where that is smaller;
- *undecided*: anything else.

A claim of several parts *holds* when all parts do and *holds in part* when some do. A claim that is arithmetically impossible
*does not hold* whatever is run; counts, such as parameters, have no seeds and are compared as they are.
A figure that is no merit is met when the interval lies within half a point of it (`near`).
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..records import Record
from ..study import Study

WORDS = ("holds", "holds in part", "does not hold", "undecided", "not run here")
FEWEST = 3  # seeds for a verdict
MARGIN = 0.5  # points: what a claim of accuracy has to be worth, and how far below a figure still reaches it


class Verdict(NamedTuple):
    """What the records say about a claim."""

    word: str  # one of `WORDS`
    here: str  # what was measured, in short
    sentence: str
    seeds: int = 0
    mean: float = np.nan
    low: float = np.nan  # the 95 % interval of what was measured
    high: float = np.nan
    threshold: float = np.nan
    parts: Mapping[str, "Verdict"] = MappingProxyType({})  # of a claim of several

    @property
    def interval(self) -> str:
        """The interval and the threshold as text, part by part; empty where there is none."""
        if self.parts:
            return "; ".join(f"{name}: {each.interval}" for name, each in self.parts.items() if each.interval)
        return f"{self.low:+.2f} to {self.high:+.2f} (threshold {self.threshold:+.2f})" if np.isfinite(self.low) else ""

    @property
    def seeds_shown(self) -> str:
        """The number of seeds as text, from the part with the fewest to that with the most; a dash for what has no seeds."""
        counts = sorted({each.seeds for each in self.parts.values()} or {self.seeds})
        none = counts == [0] and self.word != "not run here"
        return "-" if none else " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def not_run(sentence: str = "No run is on record yet.") -> Verdict:
    """The verdict on what was not run."""
    return Verdict("not run here", "not run", sentence)


def above(threshold: float, measured: Mapping[int, float], what: str, unit: str = "points", margin: float = MARGIN) -> Verdict:
    """On "`what` lies above the threshold", given a number by seed, by the rule on top of this file."""
    values = np.array([measured[seed] for seed in sorted(measured)])
    if not values.size:
        return not_run(f"{what}: no run is on record yet.")
    low, high = t_interval(values)
    enough = len(values) >= FEWEST
    word = "undecided" if not enough or (low <= threshold and high >= threshold + margin) else "does not hold"
    word = "holds" if enough and low > threshold else word
    form = ".2f" if unit == "%" else "+.2f"  # differences have a sign
    listed = f" ({', '.join(f'{each:{form}}' for each in values)})" if len(values) <= 5 else ""
    said = f"{what}, {seed_count(len(values))}{listed}: mean {values.mean():{form}} {unit}; "
    said += f"95 % interval {low:{form}} to {high:{form}}" if enough else "too few seeds for an interval"
    said += f"; threshold {threshold:{form}}" + (f", margin {margin:g}." if margin else ".")
    return Verdict(word, f"{values.mean():{form}} {unit}", said, len(values), float(values.mean()), low, high, threshold)


def t_interval(values) -> tuple[float, float]:
    """The 95 % interval of a mean over seeds (Student's t); NaN for fewer than `FEWEST`."""
    values = np.asarray(values, dtype=float)
    if len(values) < FEWEST:
        return np.nan, np.nan
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def reached(published: float, measured: Mapping[int, float], what: str = "Here", impossible: str = "") -> Verdict:
    """On a published percentage, given ours by seed; `impossible` says why the figure cannot be, where it cannot."""
    found = above(published - MARGIN, measured, what, "%", 0.0)
    if not measured:
        found = not_run(f"The paper gives {published:.2f} %; no run is on record yet.")
    else:
        mean = np.mean([*measured.values()])
        gap = f"{mean:.2f} % is {abs(mean - published):.2f} points {'above' if mean > published else 'below'} the paper's"
        found = found._replace(here=f"{spread(measured.values())} %", sentence=f"{gap} {published:.2f} %. {found.sentence}")
    return found._replace(word="does not hold", sentence=f"{impossible} {found.sentence}") if impossible else found


def better(
    left: Mapping[int, float], right: Mapping[int, float], names: tuple[str, str], unit="points", margin: float = MARGIN
) -> Verdict:
    """On "left is above right", given a score of both by seed, the higher the better; the difference is taken seed by seed."""
    differences = {seed: left[seed] - right[seed] for seed in left if seed in right}
    return above(0.0, differences, " minus ".join(names), unit, margin)


def best(claimed: str, measured: Mapping[str, Mapping[int, float]], gain: float = MARGIN) -> Verdict:
    """On "this one is best", given the percentage of every setting or method by seed: it holds when the one is `better` than
    each of the others, and does not when it is not better than some. One that was not run leaves it undecided. The `gain` in
    points that the paper states over the next best is the margin where it is below `MARGIN`: an interval that contains the
    claimed gain refutes nothing."""
    others = [name for name in measured if name != claimed]
    parts = {name: better(measured[claimed], measured[name], (claimed, name), margin=min(MARGIN, gain)) for name in others}
    by_word = {word: [name for name in others if parts[name].word == word] for word in WORDS}
    ran = [name for name in others if parts[name].seeds]
    if not ran:
        return not_run(f"The comparison needs runs of {claimed} and of at least one other.")
    word = "does not hold" if by_word["does not hold"] else "holds" if len(by_word["holds"]) == len(others) else "undecided"
    said = {
        "holds": "better than",
        "does not hold": "not better than",
        "undecided": "undecided against",
        "not run here": "no run of",
    }
    listed = "; ".join(f"{said[each]} {', '.join(names)}" for each, names in by_word.items() if names)
    rival = min(ran, key=lambda name: parts[name].mean)
    here = f"above {len(by_word['holds'])} of {len(others)}, closest {rival}: {parts[rival].here}"
    return parts[rival]._replace(word=word, here=here, sentence=f"{claimed} is {listed}. Closest: {parts[rival].sentence}")


def near(published: float, measured: Mapping[int, float], what: str, unit: str = "points") -> Verdict:
    """On a published figure that is no merit, given ours by seed: it holds when the whole 95 % interval lies within `MARGIN` of
    the figure, and does not when it lies wholly outside."""
    found = above(published, measured, what, unit, 0.0)
    below, over = published - MARGIN, published + MARGIN
    inside, apart = below <= found.low and found.high <= over, found.high < below or found.low > over
    word = "holds" if inside else "does not hold" if apart else "undecided" if measured else "not run here"
    return found._replace(word=word, sentence=found.sentence.replace("threshold", "the paper's figure"))


def agrees(published: float, counted: float, unit: str) -> Verdict:
    """On a published size of the network, given ours in the same unit: *holds* within 1 %, *holds in part* within 5 %."""
    off = abs(counted / published - 1)
    word = "holds" if off <= 0.01 else "holds in part" if off <= 0.05 else "does not hold"
    said = f"Here {counted:,.5g} {unit}, {100 * off:.2f} % off the paper's {published:,.5g}."
    return Verdict(word, f"{counted:,.5g} {unit}", said)


def printed(published: float, counted: float, unit: str) -> Verdict:
    """On a published "about": *holds* where ours rounds to the digits printed and is within 10 % of it, *holds in part* for one
    of the two."""
    digits = len(f"{published:g}".partition(".")[2])
    off = counted / published - 1
    word = ("does not hold", "holds in part", "holds")[(round(counted, digits) == published) + (abs(off) <= 0.1)]
    here = f"{counted:,.5g} {unit}"
    return Verdict(word, here, f"Here {here}, {100 * off:+.1f} % off the paper's {published:g}.")


def combined(parts: Mapping[str, Verdict]) -> Verdict:
    """On a claim of several parts by name: *holds* when all do, *holds in part* when some do; else the word of those that were
    run, *undecided* before *does not hold*. What was not run hides nothing."""
    words = [each.word for each in parts.values()]
    order = ("undecided", "does not hold", "not run here")
    word = "holds in part" if {"holds", "holds in part"} & set(words) else next(each for each in order if each in words)
    word = "holds" if set(words) == {"holds"} else word
    here = "; ".join(f"{name}: {each.here}" for name, each in parts.items())
    said = " ".join(f"*{name}*: {each.word}. {each.sentence}" for name, each in parts.items())
    return Verdict(word, here, said, min(each.seeds for each in parts.values()), parts=parts)


def by_seed(records: Sequence[Record], measure: Callable[[Record], float]) -> dict[int, float]:
    """A measure of each record, by seed."""
    return {record.study.seed: float(measure(record)) for record in records}


def final_scores(records: Sequence[Record], score: str = "OA", evaluations: int = 1) -> dict[int, float]:
    """The score at the end of each record, by seed: the mean of the last `evaluations` on the test pixels."""
    return by_seed(
        records, lambda each: each.final[score] if evaluations == 1 else each.cycles[score].dropna()[-evaluations:].mean()
    )


def mean_over_seeds(measured: Mapping[int, float]) -> float:
    """The mean over seeds; NaN for none."""
    return float(np.mean([*measured.values()])) if measured else np.nan


def spread(values) -> str:
    """Mean and standard deviation over seeds with two decimals, as "96.87 ± 0.31"; one value alone, and "not run" for none."""
    values = np.asarray(list(values), dtype=float)
    if len(values) > 1:
        return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    return f"{values[0]:.2f}" if len(values) else "not run"


def rank_sentence(published: Sequence[float], measured: Sequence[float], what: str, whose: str = "the paper's order") -> str:
    """Spearman's correlation of two columns of settings or methods, which `what` names, as a sentence."""
    rho, low, high = rank_agreement(published, measured)
    if np.isnan(rho):
        return f"A rank correlation with {whose} needs runs of at least four {what}."
    count = int(np.isfinite(np.add(published, measured)).sum())
    return f"Spearman's rank correlation with {whose} is {rho:+.2f} (95 % interval {low:+.2f} to {high:+.2f}, {count} {what})."


def rank_agreement(published: Sequence[float], measured: Sequence[float]) -> tuple[float, float, float]:
    """Spearman's correlation of two columns and its 95 % interval (Fisher's z with Bonett and Wright's error, 2000); NaN for
    fewer than four pairs. Settings without a run (NaN) are left out."""
    pairs = np.array([published, measured], dtype=float)
    pairs = pairs[:, ~np.isnan(pairs).any(0)]
    if pairs.shape[1] < 4 or (np.ptp(pairs, axis=1) == 0).any():
        return (np.nan,) * 3
    rho = float(stats.spearmanr(*pairs).statistic)
    reach = 1.96 * np.sqrt((1 + rho**2 / 2) / (pairs.shape[1] - 3))
    low, high = np.tanh(np.arctanh(np.clip(rho, -1 + 1e-9, 1 - 1e-9)) + np.array([-reach, reach]))
    return rho, float(low), float(high)


def on_record(studies: Mapping[str, Sequence[Study]], groups: Mapping[str, Sequence[Record]]) -> str:
    """How many of the studies there are records of, as a sentence with a link to the page of those that are missing."""
    seeds = {name: {record.study.seed for record in groups.get(name, ())} for name in studies}
    total = sum(map(len, studies.values()))
    there = sum(study.seed in seeds[name] for name, each in studies.items() for study in each)
    return f"{there} of {total} runs are on record" + (" ([what is missing](../book/status.md))." if there < total else ".")


def seed_count(count: int) -> str:
    """So many seeds, in words."""
    return f"{count} seeds" if count > 1 else "one seed"
