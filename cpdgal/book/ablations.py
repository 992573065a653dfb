"""Tables 2 to 6: one setting changed at a time."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..records import Record
from ..study import Study
from .common import PAPER, seeds_by_row, studies_of, sweep, t_intervals
from .verdicts import Verdict, best, final_scores, rank_sentence, spread


class Ablation(NamedTuple):
    """A table of the paper: one setting a row, its OA in percent on Botswana."""

    settings: dict[str, dict]  # by the values of `Study`
    published: list[float]

    @property
    def best(self) -> str:
        """The setting that the paper calls best."""
        return list(self.settings)[int(np.argmax(self.published))]

    @property
    def gain(self) -> float:
        """By how many points it is above the next best there."""
        second, first = sorted(self.published)[-2:]
        return round(first - second, 2)


SIZES = [(8, 8, 2), (8, 8, 4), (8, 8, 6), (8, 16, 6), (8, 32, 6), (16, 8, 6), (32, 8, 6), (32, 16, 6), (64, 32, 6), (64, 64, 8)]
SETTINGS: dict[int, dict[str, dict]] = {
    2: {f"C{i} ({d}, {h}, {n})": {"dim": d, "heads": h, "layers": n} for i, (d, h, n) in enumerate(SIZES, 1)},
    3: {str(size): {"batch": size} for size in (8, 16, 32, 64, 128, 256)},
    4: {str(p): {"static_masking": p} for p in (0.2, 0.4, 0.6, 0.8)} | {"learned": {}},
    5: {str(steps): {"steps": steps} for steps in (5, 10, 100, 500, 1000)},
    6: {
        "neither (ViT)": {"method": "vit"},
        "CM": {"method": "cpdgal-no-dgfr"},
        "DGFR": {"method": "cpdgal-no-masking"},
        "both": {"method": "cpdgal"},
    },
}
TABLES = {number: Ablation(settings, PAPER["ablations"][str(number)]) for number, settings in SETTINGS.items()}
# The static masks of Table 4 alone.
STATIC = Ablation(dict(list(SETTINGS[4].items())[:-1]), PAPER["ablations"]["4"][:-1])


def studies(seeds: Sequence[int], **values) -> dict[int, dict[str, list[Study]]]:
    """The studies of each table by setting, one a seed; the largest network of Table 2 has one seed, since it takes longest."""
    tables = {
        number: studies_of(table.settings, seeds, **{"profile": "ablation", **values}) for number, table in TABLES.items()
    }
    tables[2]["C10 (64, 64, 8)"] = tables[2]["C10 (64, 64, 8)"][:1]
    return tables


STUDIES = sweep(*reversed(studies(range(3)).values()))  # Table 6 first: what the modules do decides most


def scores_by_setting(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """OA at the end in percent: a row a setting, a column a seed (NaN: not run)."""
    return pd.DataFrame({name: pd.Series(final_scores(groups.get(name, ())), dtype=float) for name in table.settings}).T


def comparison_table(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """A table of the paper beside what was measured: a row a setting, OA in percent."""
    scores = scores_by_setting(table, groups)
    here = [spread(row.dropna()) for _, row in scores.iterrows()]
    columns = {"the paper (Botswana), %": map("{:.2f}".format, table.published), "seeds": scores.count(axis=1), "here, %": here}
    return pd.DataFrame(columns, scores.index).rename_axis("setting")


def is_best(
    table: Ablation, scores: Mapping[str, Mapping[int, float]], planned: Mapping[str, Sequence[Study]] = MappingProxyType({})
) -> Verdict:
    """On "this setting is best", by `best` on the OA of each setting by seed and with the paper's gain. Settings of which fewer
    studies are `planned` than of the best are left out and named."""
    fewer = [name for name in planned if len(planned[name]) < len(planned[table.best])]
    found = best(table.best, {name: scores[name] for name in table.settings if name not in fewer}, table.gain)
    named = f" Left out, with fewer seeds by plan: {', '.join(fewer)}." if fewer else ""
    return found._replace(sentence=found.sentence + named)


def changes_against_best(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Settings by row: OA less that of the setting the paper calls best, in points: `here` (mean over shared seeds, NaN where
    not run) and in the `paper`."""
    scores, published = scores_by_setting(table, groups), pd.Series(table.published, list(table.settings))
    return pd.DataFrame({"here": (scores - scores.loc[table.best]).mean(axis=1), "paper": published - published[table.best]})


def beside_the_paper(table: Ablation, groups: Mapping[str, Sequence[Record]], settings: str) -> Figure:
    """OA of each setting here, with its seeds and a 95 % interval, and in the paper, on scales of equal span; `settings` names
    the rows."""
    scores, published = scores_by_setting(table, groups), pd.DataFrame({0: table.published}, list(table.settings))
    measures = {"OA here (%)": scores, "OA in the paper, on Botswana (%)": published}
    intervals = {name: t_intervals(each) for name, each in measures.items()}
    figure = seeds_by_row(measures, settings, intervals=intervals, ordered=False)
    span = max(np.ptp(axis.get_xlim()) for axis in figure.axes)
    for axis in figure.axes:
        axis.set_xlim(np.mean(axis.get_xlim()) + np.array([-span, span]) / 2)
    return figure


def finding(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> str:
    """How many settings are above the one that the paper calls best here, and which of them is highest, for a caption."""
    others = changes_against_best(table, groups).here.drop(table.best).dropna()
    if others.empty:
        return f"No comparison yet: it needs runs of the paper's best setting, {table.best}, and of at least one other."
    return (
        f"{(others > 0).sum()} of {len(others)} other settings have a higher mean accuracy here than {table.best}, the paper's "
        f"best; the highest of them is {others.idxmax()}, at a difference of {others.max():+.2f} points."
    )


def differences(scores: pd.DataFrame) -> str:
    """The mean differences by row, in points, for a caption; columns are seeds."""
    means = scores.mean(axis=1).dropna()
    listed = ", ".join(f"{name} {mean:+.2f}" for name, mean in means.items())
    return f"Mean differences here, in points: {listed}." if listed else "No difference is on record yet."


def order_sentence(table: Ablation, groups: Mapping[str, Sequence[Record]]) -> str:
    """Whether the settings of a table are in the paper's order here, as a sentence."""
    return rank_sentence(table.published, scores_by_setting(table, groups).mean(axis=1).tolist(), "settings")
