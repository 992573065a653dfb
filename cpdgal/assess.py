"""An accuracy to defend: design-based accuracy and class areas of a map, and the sample of points they come from."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .scenes import Scene, SceneError
from .truths import moved, read_features, read_table

STRIP = 2**22  # pixels of a map that are read at a time
NORMAL = 1.96  # of 95 % intervals, as Olofsson et al. print them


@dataclass(frozen=True, eq=False)
class Assessment:
    """Estimates with the half-widths of their 95 % intervals; accuracies and area shares are fractions 0..1.

    `classes` has one row per class: ``user``, ``producer`` and ``area`` (share of the map's area), each followed by its
    half-width with ``±``; NaN where the sample has no point to tell. `matrix` (map class, reference class) is in area shares.
    """

    overall: float
    overall_halfwidth: float
    classes: pd.DataFrame
    matrix: pd.DataFrame


def estimate(mapped, reference, sizes: pd.Series, strata=None) -> Assessment:
    """Accuracy and areas from a probability sample (Stehman 2014; Olofsson et al. 2014 where the strata are the map's classes).

    Every estimate is a ratio of totals over strata, of variance Eq. 28 of Stehman. A stratified sample has its strata; a simple
    random one is stratified after the fact by the map's classes (Olofsson et al. 2014); so is a systematic one, whose intervals
    are then approximate, and mostly too wide.

    Args:
        mapped, reference: (n,) the map's class and the true class at each point.
        sizes: pixels of each stratum, by its name.
        strata: (n,) the stratum of each point; the map's class when left out.

    Raises ``ValueError`` for a stratum with fewer than two points, or a point in a stratum without a size.
    """
    mapped, reference = np.asarray(mapped), np.asarray(reference)
    strata = mapped if strata is None else np.asarray(strata)
    if not len(mapped) == len(reference) == len(strata) or pd.isna([*mapped, *reference, *strata]).any():
        raise ValueError(f"{len(mapped)} classes on the map and {len(reference)} true ones; give one of both for every point")
    if not (sizes >= 0).all():
        raise ValueError("a stratum has a size below 0, or none; give the pixels of each")
    sizes = sizes[sizes > 0]
    counts = pd.Series(strata).value_counts().reindex(sizes.index, fill_value=0)
    if unknown := sorted({str(each) for each in strata[~np.isin(strata, sizes.index)]}):
        raise ValueError(f"points lie in {unknown[0]}, which has no area on the map; are they of this map?")
    if (counts > sizes).any():
        raise ValueError(f"{(counts > sizes).idxmax()} has more reference points than pixels; is it the right map?")
    if (scarce := (counts < 2) & (counts < sizes)).any():
        few, count = counts[scarce].index[0], counts[scarce].iloc[0]
        raise ValueError(f"{few} has {count} reference points, and an interval takes two of every stratum; add points there")

    def ratio(top: np.ndarray, bottom: np.ndarray) -> tuple[float, float]:
        return _ratio(top, bottom, codes, sizes.to_numpy(float))

    codes, everything = sizes.index.get_indexer(strata), np.ones(len(mapped))
    names = [*sizes.index] if strata is mapped else []
    names += sorted({*mapped, *reference} - {*names}, key=str)
    rows, cells = {}, np.zeros((len(names), len(names)))
    for i, name in enumerate(names):
        on_map, true = mapped == name, reference == name
        cells[i] = [ratio(on_map & (reference == other), everything)[0] for other in names]
        user, producer = ratio(on_map & true, on_map), ratio(on_map & true, true)
        rows[name] = [*user, *producer, *ratio(true, everything)]
    columns = ["user", "user ±", "producer", "producer ±", "area", "area ±"]
    overall = ratio(mapped == reference, everything)
    matrix = pd.DataFrame(cells, index=names, columns=names)
    return Assessment(*overall, pd.DataFrame.from_dict(rows, orient="index", columns=columns), matrix)


def _ratio(top, bottom, strata: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """A ratio of totals and the half-width of its interval; NaN where the sample has nothing below the line."""
    count = np.bincount(strata, minlength=len(sizes))
    y, x = np.asarray(top, dtype=float), np.asarray(bottom, dtype=float)
    total = sizes @ (np.bincount(strata, x, len(sizes)) / count)
    if total == 0:
        return np.nan, np.nan
    value = sizes @ (np.bincount(strata, y, len(sizes)) / count) / total
    residual = y - value * x  # its variance is that of Eq. 28
    residual -= (np.bincount(strata, residual, len(sizes)) / count)[strata]
    spread = np.bincount(strata, residual**2, len(sizes)) / np.maximum(count - 1, 1)  # a stratum of one pixel has none
    share = count / sizes
    finite = np.where(share > 0.05, 1 - share, 1)  # below, the correction is left out, as is usual (Cochran 1977, Section 2.6)
    return float(value), float(NORMAL * np.sqrt((sizes**2 * finite * spread / count).sum()) / total)


def allocate(sizes: pd.Series, halfwidth: float, expected: float | pd.Series = 0.8, at_least: int = 50) -> pd.Series:
    """Points for each stratum, so that overall accuracy has a 95 % interval of that half-width (a fraction).

    Their number is Eq. 13 of Olofsson et al. 2014 (Cochran 1977, Eq. 5.25) for the user's accuracies that are ``expected``;
    they are spread by area, but every stratum has ``at_least`` so many, or all its pixels.
    """
    sizes = sizes[sizes > 0]
    if not 0 < halfwidth < 1:
        raise ValueError(f"an interval of ± {100 * halfwidth:g} points cannot be had; ask for more than 0 and less than 100")
    if at_least < 2:
        raise ValueError(f"every stratum takes two points at least, not {at_least}, to have an interval")
    accuracy = pd.Series(expected, index=sizes.index)
    if not accuracy.between(0, 1).all():
        raise ValueError("an expected accuracy is between 0 and 100 %")
    weights = sizes / sizes.sum()
    total = np.ceil(((weights * np.sqrt(accuracy * (1 - accuracy))).sum() / (halfwidth / NORMAL)) ** 2 - 1e-9)
    return np.ceil(weights * total).clip(lower=at_least).clip(upper=sizes).astype(int)


@dataclass(frozen=True, eq=False)
class ClassMap:
    """A map of classes on disk, read in strips: GeoTIFF (extra ``geo``) or .npy, with 0 or its no-data value for no class."""

    path: Path
    shape: tuple[int, int]
    names: dict[int, str]  # of values, where the map says
    transform: Any = None  # affine, from column and row to x and y
    crs: Any = None
    nodata: float | None = None

    @classmethod
    def open(cls, path: Path) -> "ClassMap":
        """The map of a file; `SceneError` when it is none."""
        path = Path(path)
        if path.suffix.lower() == ".npy":
            with _npy(path) as values:
                return cls(path, values.shape, {})
        with _raster(path) as raster:
            if raster.count != 1 or np.dtype(raster.dtypes[0]).kind not in "iu":
                raise SceneError(f"{path} is no map of classes: {raster.count} bands of {raster.dtypes[0]}, not 1 of integers")
            tags = {name.removeprefix("class_"): text for name, text in raster.tags(1).items() if name.startswith("class_")}
            names = {int(value): text for value, text in tags.items() if value.isdigit()}
            return cls(path, raster.shape, names, raster.transform, raster.crs, raster.nodata)

    @classmethod
    def grid(cls, scene: Scene) -> "ClassMap":
        """The pixels of a scene, for points on them: without classes, and in their place where rasterio is there."""
        transform = crs = None
        with suppress(ImportError):
            from rasterio import Affine

            if scene.georeference:
                transform, crs = Affine(*scene.georeference.transform), scene.georeference.crs
        return cls(Path(scene.name), scene.labels.shape, {}, transform, crs)

    @property
    def pixel_area(self) -> float | None:
        """Square metres of a pixel; None where the map has no CRS in linear units."""
        if not (self.crs and self.crs.is_projected):
            return None
        return abs(self.transform.determinant) * self.crs.linear_units_factor[1] ** 2

    def name(self, value: int) -> str:
        return self.names.get(int(value), f"class {value}")

    def strips(self) -> Iterator[tuple[int, np.ndarray]]:
        """The first row and the classes (rows, width) of every strip; 0 = none."""
        height, width = self.shape
        rows = max(1, STRIP // width)
        for top in range(0, height, rows):
            yield top, self._read(top, min(height, top + rows))

    def _read(self, top: int, bottom: int) -> np.ndarray:
        if self.path.suffix.lower() == ".npy":
            with _npy(self.path) as values:
                strip = np.asarray(values[top:bottom]).astype(np.int64)
        else:
            with _raster(self.path) as raster:
                strip = raster.read(1, window=((top, bottom), (0, self.shape[1]))).astype(np.int64)
        return np.where((strip < 0) | (strip == self.nodata), 0, strip)

    def sizes(self) -> pd.Series:
        """Pixels of every class that the map has, by value."""
        total: pd.Series = pd.Series(dtype=int)
        for _, strip in self.strips():
            values, counts = np.unique(strip[strip > 0], return_counts=True)
            total = total.add(pd.Series(counts, index=values), fill_value=0)
        if total.empty:
            raise SceneError(f"{self.path}: no pixel has a class: is it the right file?")
        return total.astype(int).sort_index()

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The class (n,) at pixels."""
        found = np.zeros(len(rows), dtype=np.int64)
        for top, strip in self.strips():
            inside = (rows >= top) & (rows < top + len(strip))
            found[inside] = strip[rows[inside] - top, columns[inside]]
        return found

    def draw(self, counts: pd.Series, seed: int = 0) -> pd.DataFrame:
        """A stratified random sample without replacement, so many pixels of each class, in random order.

        Columns: row, column, x and y where the map is georeferenced, and an empty class for the interpreter to fill in, who is
        not told the map's.
        """
        rng, sizes = np.random.default_rng(seed), self.sizes()
        ranks = {value: np.sort(rng.choice(sizes[value], count, replace=False)) for value, count in counts.items()}
        seen, found = dict.fromkeys(ranks, 0), []
        for top, strip in self.strips():
            for value, wanted in ranks.items():
                places = np.flatnonzero(strip == value)
                here = wanted[(wanted >= seen[value]) & (wanted < seen[value] + len(places))] - seen[value]
                seen[value] += len(places)
                rows, columns = np.divmod(places[here], self.shape[1])
                found.append(np.stack([rows + top, columns], axis=1))
        points = pd.DataFrame(rng.permutation(np.concatenate(found)), columns=["row", "column"])
        return self.placed(points).assign(**{"class": ""})

    def placed(self, points: pd.DataFrame) -> pd.DataFrame:
        """Points (row, column) with the x and y of their pixels' centres, where the map is georeferenced."""
        if not self.crs:
            return points
        x, y = _moved(self.transform, points.column + 0.5, points.row + 0.5)
        return points.assign(x=x, y=y)


def read_points(path: Path, to: ClassMap, *, complete: bool = True, crs: str = "") -> pd.DataFrame:
    """Reference points with row, column and class of a CSV (row, column, class; or x, y, class in `crs`, or else the map's), or
    of a file that geopandas reads, in its own CRS. `SceneError` where they are no such points or do not lie on the map, and,
    where they are to be ``complete``, for a class that is empty."""
    points = read_table(path).reset_index(drop=True) if path.suffix.lower() == ".csv" else _located(path, to)
    if not {"row", "column"} <= {*points} and {"x", "y"} <= {*points} and to.transform:
        x, y = (pd.to_numeric(points[each], errors="coerce").to_numpy(float) for each in ("x", "y"))
        x, y = moved(x, y, crs, to.crs) if crs and to.crs else (x, y)
        columns, rows = _moved(~to.transform, x, y)
        points = points.assign(row=np.floor(rows), column=np.floor(columns))
    if missing := [each for each in ("row", "column", "class") if each not in points]:
        raise SceneError(f"{path} has no column {missing[0]!r}; a table of points has row, column and class, or x, y and class")
    places = points[["row", "column"]].apply(pd.to_numeric, errors="coerce")
    good = (places >= 0).all(axis=1) & (places < np.array(to.shape)).all(axis=1) & (places % 1 == 0).all(axis=1)
    if not good.all():
        raise SceneError(
            f"{path}, point {int(np.argmin(good)) + 1}: it does not lie on the map of {to.shape[0]} x {to.shape[1]}"
        )
    named = points["class"].astype(object).where(points["class"].notna(), "").astype(str).str.strip()
    if complete and (empty := named == "").any():
        raise SceneError(f"{path}, point {int(np.argmax(empty)) + 1}: the class is empty; fill it in, or remove the row")
    places = places.astype(int)
    if (twice := places.duplicated()).any():
        raise SceneError(f"{path}, point {int(np.argmax(twice)) + 1}: this pixel was named before; leave one of the two")
    return places.assign(**{"class": named})


def write_points(points: pd.DataFrame, path: Path, of: ClassMap) -> None:
    """Write points (row, column, x, y, class) of a map to a .csv file, or with its CRS to a .gpkg; whole or not at all."""
    part = path.with_name(f".{path.stem}.part{path.suffix.lower()}")
    try:
        if path.suffix.lower() == ".csv":
            points.to_csv(part, index=False)
        else:
            if not of.crs:
                raise SceneError(f"{of.path} has no CRS, so its points have no place on earth; write them to a .csv")
            try:
                import geopandas
            except ImportError:
                raise SceneError(f"{path} takes geopandas: pip install 'cpdgal[geo]', or write to a .csv") from None
            places = geopandas.points_from_xy(points.x, points.y)
            geopandas.GeoDataFrame(points, geometry=places, crs=of.crs).to_file(part, driver="GPKG", layer=path.stem)
        os.replace(part, path)
    except (OSError, RuntimeError) as error:  # the latter are those of GDAL
        raise SceneError(f"{path} could not be written ({_reason(error)}); make room, or choose another folder") from error
    finally:
        part.unlink(missing_ok=True)


def assess(classes: ClassMap, points: pd.DataFrame, strata: ClassMap | None = None) -> Assessment:
    """The assessment of a map by reference points (as `read_points` gives), whose classes are values or names of the map's.

    Strata other than the map's classes come as a second map. Pixels without a class are no part of the area.
    """
    if strata and strata.shape != classes.shape:
        raise SceneError(f"{strata.path} has {strata.shape} pixels and {classes.path} {classes.shape}; give maps of one grid")
    if strata and strata.crs and classes.crs and not strata.transform.almost_equals(classes.transform):
        raise SceneError(f"{strata.path} lies elsewhere than {classes.path}; give maps of one grid")
    mapped = classes.at(points.row.to_numpy(), points.column.to_numpy())
    if (outside := mapped == 0).any():
        place = points.iloc[int(np.argmax(outside))]
        raise SceneError(f"the point at row {place.row}, column {place.column} has no class on the map; remove it")
    sizes, by_name = classes.sizes(), {name: value for value, name in classes.names.items()}
    true = [by_name.get(each, whole_number(each)) for each in points["class"]]
    known = {*sizes.index, *classes.names}
    if unknown := [each for each, value in zip(points["class"], true, strict=True) if value is None or value < 1]:
        listed = ", ".join(classes.name(each) for each in sorted(known))[:120]
        raise SceneError(f"{unknown[0][:40]!r} is no class of the map; write a number from 1, or one of {listed}")
    names = {value: classes.name(value) for value in {*known, *mapped, *true}}
    if strata is None:
        by_stratum = sizes.rename(names)
        return estimate([names[each] for each in mapped], [names[each] for each in true], by_stratum)
    inside = strata.at(points.row.to_numpy(), points.column.to_numpy())
    by_stratum = strata.sizes().rename(strata.name)
    named = [strata.name(each) for each in inside]
    return estimate([names[each] for each in mapped], [names[each] for each in true], by_stratum, named)


def _moved(affine, u, v):
    return affine.a * u + affine.b * v + affine.c, affine.d * u + affine.e * v + affine.f


def whole_number(text: str) -> int | None:
    """The whole number that a text is, as 3 or 3.0; None for any other."""
    try:
        return int(float(text)) if float(text) % 1 == 0 else None
    except (ValueError, OverflowError):
        return None


def _located(path: Path, to: ClassMap) -> pd.DataFrame:
    points = read_features(path)
    if not (points.crs and to.crs):
        raise SceneError(f"{path}, or the map, has no CRS, so the points have no place on it; set it, or give row and column")
    if not (points.geom_type == "Point").all():
        other = points.geom_type[points.geom_type != "Point"].fillna("empty").iloc[0]
        raise SceneError(f"{path} holds {other} geometries; an assessment takes points")
    there = points.to_crs(to.crs)
    table = pd.DataFrame(points.drop(columns=[points.geometry.name, "row", "column", "x", "y"], errors="ignore"))
    return table.assign(x=there.geometry.x, y=there.geometry.y)


def _reason(error: Exception) -> str:
    """Why a file cannot be read, on one line and without numbers of errors."""
    return " ".join((getattr(error, "strerror", None) or str(error)).split())[:120]


@contextmanager
def _npy(path: Path) -> Iterator[np.ndarray]:
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SceneError(f"{path} cannot be read as a map ({_reason(error)})") from error
    if values.ndim != 2 or values.dtype.kind not in "iu" or not values.size:
        raise SceneError(
            f"{path} is no map of classes: it has shape {values.shape} of {values.dtype}, not rows x columns of integers"
        )
    yield values


@contextmanager
def _raster(path: Path) -> Iterator:
    try:
        import rasterio
    except ImportError:
        raise SceneError(f"{path} takes rasterio: pip install 'cpdgal[geo]', or give a .npy") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            opened = rasterio.open(path)
        with opened as raster:
            yield raster
    except rasterio.RasterioIOError as error:
        raise SceneError(f"{path} cannot be read as a map ({_reason(error)})") from error
