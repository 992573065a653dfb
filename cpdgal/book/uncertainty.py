"""How sure a number is: intervals where neighbouring pixels are right or wrong together, p-values of several claims at once,
and how many seeds a difference takes."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ..records import Record
from ..scenes import Scene
from .verdicts import FEWEST, mean_over_seeds


class Interval(NamedTuple):
    """An OA in percent, or the difference of two in points, with its 95 % interval by two reckonings."""

    value: float
    pixels: tuple[float, float]  # as if pixels were independent
    blocks: tuple[float, float]  # where those of a block are right or wrong together

    @property
    def wider(self) -> float:
        """How many times as wide the interval by blocks is; NaN where the other has no width."""
        by_pixels, by_blocks = (high - low for low, high in (self.pixels, self.blocks))
        return by_blocks / by_pixels if by_pixels else np.nan


def block_bootstrap(
    positions: np.ndarray,
    right: np.ndarray,
    other: np.ndarray | None = None,
    *,
    rng: np.random.Generator,
    block: int = 15,
    resamples: int = 10_000,
) -> Interval:
    """What the test pixels leave open of an OA, or of the difference to another method's on the same pixels.

    `positions` (n, 2) are rows and columns, `right` and `other` (n,) whether each answer was right. By pixels, the interval is
    Wilson's, and for a difference the normal one of paired differences. By blocks, it is the percentile interval of whole
    blocks of block x block pixels of the map, drawn with replacement (Lahiri, 2003). Raises
    ``ValueError`` for other shapes or types, and for pixels that lie in fewer than two blocks.
    """
    positions, right = np.asarray(positions), np.asarray(right)
    answers = [right] if other is None else [right, np.asarray(other)]
    if positions.shape != (len(positions), 2) or any(each.shape != positions.shape[:1] for each in answers):
        shapes = ", ".join(str(each.shape) for each in (positions, *answers))
        raise ValueError(f"positions have the shape (n, 2) and answers (n,), not {shapes}")
    if positions.dtype.kind not in "iu" or any(each.dtype != bool for each in answers):
        raise ValueError("positions are whole numbers, and answers are true or false")
    corners, block_of = np.unique(positions // block, axis=0, return_inverse=True)
    if len(corners) < 2:
        raise ValueError(f"the pixels lie in {len(corners)} block of {block} x {block}; choose smaller blocks")
    scores = np.subtract(*answers, dtype=float) if len(answers) == 2 else right.astype(float)
    pixels, sums = np.bincount(block_of), np.bincount(block_of, scores)
    times = rng.multinomial(len(pixels), np.full(len(pixels), 1 / len(pixels)), resamples)
    low, high = np.percentile(100 * (times @ sums) / (times @ pixels), [2.5, 97.5])
    return Interval(float(100 * scores.mean()), _by_pixels(scores, paired=len(answers) == 2), (float(low), float(high)))


def _by_pixels(scores: np.ndarray, paired: bool) -> tuple[float, float]:
    """The 95 % interval of the mean of independent scores, in percent."""
    if paired:
        reach = stats.norm.ppf(0.975) * stats.sem(scores)
        return float(100 * (scores.mean() - reach)), float(100 * (scores.mean() + reach))
    return wilson(round(scores.sum()), len(scores))


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval (Wilson's) of a share in percent, for so many right of `count` pixels taken as independent."""
    interval = stats.binomtest(right, count).proportion_ci(0.95, "wilson")
    return float(100 * interval.low), float(100 * interval.high)


def interval_table(scene: Scene, records: Mapping[str, Record], *, block: int = 15) -> pd.DataFrame:
    """OA of trained networks by name with both intervals of a `block_bootstrap`, and the difference of the first to each other
    that has the same test pixels."""
    holdouts = {name: record.study.make_split(scene).holdout for name, record in records.items()}
    right = {name: records[name].answers(scene, tested) == scene.targets[tested] for name, tested in holdouts.items()}
    first, *others = records or [""]
    rows: dict[str, tuple[str, ...]] = {f"{name}: OA, %": (name,) for name in records}
    alike = [name for name in others if np.array_equal(holdouts[name], holdouts[first])]
    rows |= {f"{first} minus {name}, points": (first, name) for name in alike}
    shown = {}
    for row, names in rows.items():
        tested, answers = scene.pixels[holdouts[names[0]]], [right[name] for name in names]
        found = block_bootstrap(tested, *answers, rng=np.random.default_rng(0), block=block)
        form = ".2f" if len(names) == 1 else "+.2f"  # differences have a sign
        shown[row] = {
            "measured": f"{found.value:{form}}",
            "by pixels": f"{found.pixels[0]:{form}} to {found.pixels[1]:{form}}",
            "by blocks": f"{found.blocks[0]:{form}} to {found.blocks[1]:{form}}",
            "times as wide": f"{found.wider:.1f}",
        }
    return pd.DataFrame.from_dict(shown, orient="index", columns=["measured", "by pixels", "by blocks", "times as wide"])


def holm(p_values: Sequence[float]) -> np.ndarray:
    """The p-values (m,) of m claims that are tested at once, adjusted by Holm's step-down method (1979): where those below
    5 % are kept, the chance of one false claim or more is at most 5 %. ``ValueError`` for what is no p-value."""
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values are numbers from 0 to 1, one a claim, not {p_values}")
    order, adjusted = np.argsort(p), np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def claim_table(claims: Mapping[str, tuple[Mapping[int, float], float]]) -> pd.DataFrame:
    """Claims by name, each a number by seed and the threshold that it is to lie above: seeds, mean, threshold, the one-sided p
    of Student's t-test over seeds, and p by `holm`. A claim of fewer than three seeds has no p, and is no test."""
    p = pd.Series({name: _one_sided(values, at) for name, (values, at) in claims.items()}, dtype=float)
    tested = p.dropna()
    adjusted = pd.Series(holm(tested), tested.index).reindex(p.index)
    columns = {
        "seeds": {name: len(values) for name, (values, _) in claims.items()},
        "mean": {name: f"{mean_over_seeds(values):.2f}" if values else "not run" for name, (values, _) in claims.items()},
        "threshold": {name: f"{at:.2f}" for name, (_, at) in claims.items()},
        "p": p.map(_shown).to_dict(),
        "p by Holm": adjusted.map(_shown).to_dict(),
    }
    return pd.DataFrame(columns, list(claims)).rename_axis("claim")


def _one_sided(measured: Mapping[int, float], threshold: float) -> float:
    """The p-value of "the mean over seeds is not above the threshold"; NaN for fewer than `FEWEST` seeds."""
    values = np.array([*measured.values()], dtype=float) - threshold
    if len(values) < FEWEST:
        return np.nan
    if not np.ptp(values):  # no deviation, no t
        return float(values[0] <= 0)
    return float(stats.ttest_1samp(values, 0, alternative="greater").pvalue)


def _shown(p: float) -> str:
    return "" if np.isnan(p) else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def deviation_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The standard deviation of values by seed, and the ends of its 95 % interval (chi-squared, normal values); ``ValueError``
    for fewer than three."""
    if len(values) < FEWEST:
        raise ValueError(f"a deviation over seeds takes {FEWEST} of them or more, not {len(values)}")
    deviation, free = np.std(values, ddof=1), len(values) - 1
    low, high = deviation * np.sqrt(free / stats.chi2.ppf([0.975, 0.025], free))
    return float(deviation), float(low), float(high)


def seeds_needed(difference: float, deviation: float, *, power: float = 0.8, level: float = 0.05) -> int:
    """How many seeds a two-sided paired t-test needs to find a difference with this power, where the differences of single
    seeds have this standard deviation, both in points: exact, by the noncentral t. ``ValueError`` unless both are positive."""
    if not (0 < difference < np.inf and 0 < deviation < np.inf):
        raise ValueError(f"difference and deviation are positive numbers of points, not {difference} and {deviation}")
    effect = difference / deviation
    normal = (stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)) ** 2 / effect**2  # known variance: t takes a few more
    seeds = np.arange(2, int(normal) + 12)
    found = stats.nct.sf(stats.t.ppf(1 - level / 2, seeds - 1), seeds - 1, effect * np.sqrt(seeds))
    return int(seeds[np.argmax(found >= power)])


def power_table(deviation: float, differences: Sequence[float] = (0.16, 0.5, 1, 2)) -> pd.Series:
    """The `seeds_needed` for each difference in points, given the standard deviation of differences between seeds."""
    needed = {f"{each:g}": seeds_needed(each, deviation) for each in differences}
    return pd.Series(needed, name="seeds needed").rename_axis("difference, points")
