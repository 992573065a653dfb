"""Ground truths in any form: a raster of the scene's grid, a table of points, points or polygons of a vector file."""

import os
import warnings
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from .readers import Georeference, SceneError, read_raster

VECTOR = (".gpkg", ".geojson", ".shp")


Truth = tuple[np.ndarray, dict[int, str]]  # the classes of a grid, masked where the file has none, and names where it has


def rasterised(path: Path, key: str | None, shape: tuple, georeference: Georeference | None, crs: str | None) -> Truth:
    """The ground truth of a file on a grid of `shape`; ``key`` is a variable, or the field or column of the classes, which are
    numbers, or names and then 1..K in alphabetical order."""
    if path.suffix.lower() in (".csv", *VECTOR) and not os.path.isfile(path):
        raise SceneError(f"{path} does not exist or is not a file; check the path")
    if path.suffix.lower() == ".csv":
        return _from_table(path, key or "class", shape, georeference, crs)
    if path.suffix.lower() in VECTOR:
        return _from_vector(path, key or "class", shape, georeference)
    return _from_raster(path, key, shape, georeference), {}


def read_table(path: Path) -> pd.DataFrame:
    """A table as spreadsheets save it: texts, "" where there are none, with the columns in lower case and the lines as index.

    Commas, semicolons or tabs separate; where commas do not, they may be decimal ones. `SceneError` for what is no table.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").lstrip("\n")
        separator = max(",;\t", key=text.partition("\n")[0].count)
        options: dict = {"sep": separator, "dtype": str, "keep_default_na": False, "index_col": False}
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # of lines longer than the header, which would be cut
            table = pd.read_csv(StringIO(text), **options, skip_blank_lines=False)
    except UnicodeDecodeError as error:
        raise SceneError(f'{path} is not in UTF-8; save it as "CSV UTF-8"') from error
    except pd.errors.ParserWarning as error:
        advice = "where commas are decimal ones, let semicolons separate"
        raise SceneError(f"{path} has more values in a line than names in the first one; {advice}") from error
    except OSError as error:
        raise SceneError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise SceneError(f"{path} cannot be read as a table ({' '.join(str(error).split())[:80]}); save it as CSV") from error
    table = table.set_axis(table.index + 2).apply(lambda column: column.str.strip())
    if separator != ",":
        table = table.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
    return _lower_case(path, table[(table != "").any(axis=1)])


def _lower_case(path: Path, table):
    """A table with its columns in lower case."""
    table = table.rename(columns=lambda name: str(name).strip().lower())
    if (twice := table.columns.duplicated()).any():
        raise SceneError(f"{path} has two columns {table.columns[twice][0]!r:.40}; rename one of them")
    return table


def read_features(path: Path):
    """The features of a file that geopandas reads, with the columns in lower case and multipart geometries taken apart.

    `SceneError` for a file that cannot be read, and for several layers.
    """
    try:
        import geopandas
    except ImportError as error:
        raise SceneError(
            f"{path} needs geopandas to be read; install it with: pip install 'cpdgal[geo]', or save CSV"
        ) from error
    try:
        layers = geopandas.list_layers(path)
        layers = layers.name[layers.geometry_type.notna()]  # QGIS keeps styles as one without
        table = geopandas.read_file(path, layer=layers.iloc[0] if len(layers) else None)
    except Exception as error:  # whatever the driver raises
        raise SceneError(f"{path} cannot be read ({' '.join(str(error).split())[:80]}); save it as GeoPackage") from error
    if len(layers) > 1:
        raise SceneError(f"{path} has the layers {', '.join(layers)[:80]}; save the one that is meant as a file of its own")
    if not isinstance(table, geopandas.GeoDataFrame):
        raise SceneError(f"{path} has no geometries; is it the right file?")
    if not len(table) or (table.geometry.isna() | table.is_empty).any():
        raise SceneError(f"{path} has no features, or some without a geometry; give it points or polygons alone")
    return _lower_case(path, table).explode(ignore_index=True)


def _from_raster(path: Path, key: str | None, shape: tuple, georeference: Georeference | None) -> np.ndarray:
    raster = read_raster(path, key, dimensions=2)
    own, values = raster.georeference, raster.values
    if own and georeference and values.shape[:2] == shape:
        corners = np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]], [1] * 4])
        here, there = (np.reshape(each.transform, (2, 3)) for each in (own, georeference))
        if abs(np.linalg.solve(there[:, :2], (here - there) @ corners)).max() > 0.51:  # pixels; half of one is corner or centre
            places = " and ".join(f"{each[0, 2]:.9g}, {each[1, 2]:.9g}" for each in (here, there))
            raise SceneError(
                f"{path} lies elsewhere than the cube, or in another CRS: their upper left corners are {places}; warp it to "
                "the cube's grid, or save it without a place where that is wrong"
            )
    if raster.no_data is None:
        return values
    return np.ma.masked_where(np.isclose(values, raster.no_data, rtol=0, atol=0, equal_nan=True), values)


def _from_table(path: Path, field: str, shape: tuple, georeference: Georeference | None, crs: str | None) -> Truth:
    table = read_table(path)
    placed = [pair for pair in (["row", "column"], ["x", "y"]) if set(pair) <= set(table.columns)]
    if field.lower() not in table.columns or not placed:
        named = ", ".join(table.columns)[:80]
        raise SceneError(f"{path} has the columns {named}; it needs row, column and {field}, or x, y and {field}")
    if "round" in table.columns:  # labels.csv of `cpdgal label`, where 0 is a pixel that was skipped
        table = table[table[field.lower()] != "0"]
    classes, names = _numbered(path, table[field.lower()])
    numbers = table[placed[0]].apply(pd.to_numeric, errors="coerce").assign(**{field.lower(): classes})
    if (bad := ~np.isfinite(numbers.to_numpy(float)).all(axis=1)).any():
        raise SceneError(
            f"{path}: line {table.index[np.argmax(bad)]} has nothing usable in one of {', '.join(numbers)}; correct it"
        )
    first, second, classes = numbers.to_numpy(float).T
    if placed[0] == ["x", "y"]:
        rows, columns = _pixels(path, first, second, georeference, crs)
    else:
        rows, columns = first, second
        if (rows % 1).any() or (columns % 1).any():
            raise SceneError(f"{path}: rows and columns are whole numbers, counted from 0; correct them, or name them x and y")
    return _painted(path, rows, columns, classes, shape), names


def _numbered(path: Path, classes: pd.Series) -> tuple[pd.Series, dict[int, str]]:
    """Classes as numbers, NaN where there is none, and their names by number where they are text."""
    numbers = pd.to_numeric(classes, errors="coerce")
    if not (named := numbers.isna() & classes.notna() & (classes.astype(str).str.strip() != "")).any():
        return numbers, {}
    if numbers.notna().any():
        mixed = f"{classes[named].iloc[0]!r:.40} beside numbers as {classes[numbers.notna()].iloc[0]!s:.40}"
        raise SceneError(f"{path}: the classes are {mixed}; give every class a name, or every class a number")
    codes, names = pd.factorize(classes.astype(str).str.strip().where(named), sort=True)
    return pd.Series(codes + 1.0, classes.index).where(named), dict(enumerate(names, 1))


def _pixels(path: Path, x, y, georeference: Georeference | None, crs: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of points in the raster's or a named CRS."""
    if georeference is None:
        raise SceneError(
            f"{path} has x and y, and the cube has no georeference; give row and column, or a GeoTIFF or ENVI cube"
        )
    x, y = moved(x, y, crs, georeference.crs) if crs else (x, y)
    a, b, c, d, e, f = georeference.transform
    columns, rows = np.linalg.solve([[a, b], [d, e]], np.stack([np.subtract(x, c), np.subtract(y, f)]))
    return np.floor(rows), np.floor(columns)


def moved(x, y, crs: str, to) -> tuple[np.ndarray, np.ndarray]:
    """Points of one CRS in another; `SceneError` for what is none."""
    from rasterio.errors import CRSError
    from rasterio.warp import transform

    try:
        x, y = map(np.array, transform(crs, to, x, y))
    except CRSError as error:
        raise SceneError(f"{crs[:60]!r} is no CRS; name one such as EPSG:4326") from error
    return x, y


def _painted(path: Path, rows, columns, classes, shape: tuple) -> np.ma.MaskedArray:
    outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[1])
    if outside.any():
        first = int(np.argmax(outside))
        raise SceneError(
            f"{path}: {int(outside.sum())} of {len(rows)} points lie outside the {shape[0]} x {shape[1]} pixels, the first at "
            f"row {rows[first]:.0f}, column {columns[first]:.0f}; check the CRS and the order of x and y"
        )
    points = pd.DataFrame({"row": rows, "column": columns, "class": classes}).drop_duplicates()
    if (twice := points.duplicated(["row", "column"])).any():
        row, column, _ = points[twice].iloc[0]
        raise SceneError(f"{path}: the pixel at row {row:.0f}, column {column:.0f} has two classes; keep one of them")
    labels = np.ma.array(np.zeros(shape), mask=True)
    labels[rows.astype(int), columns.astype(int)] = classes
    return labels


def _from_vector(path: Path, field: str, shape: tuple, georeference: Georeference | None) -> Truth:
    if georeference is None:
        raise SceneError(f"{path} has coordinates, and the cube has no georeference; give a GeoTIFF or ENVI cube with a CRS")
    table, field = read_features(path), field.lower()
    if field not in table.columns:
        raise SceneError(
            f"{path} has the fields {', '.join(map(str, table.columns))[:80]}; name that of the classes as labels_key"
        )
    classes, names = _numbered(path, table[field])
    if classes.isna().any() or table.crs is None:
        raise SceneError(f"{path}: every feature needs a class in {field!r}, and the file a CRS; correct it in your GIS")
    table = table.assign(**{field: classes}).to_crs(georeference.crs)
    points, areas = (table[table.geom_type == kind] for kind in ("Point", "Polygon"))
    if others := len(table) - len(points) - len(areas):
        raise SceneError(f"{path} needs points or polygons, and has {others} features of other forms; take them out")
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    low = high = np.full(shape, np.nan)
    if len(areas):
        shapes = sorted(zip(areas.geometry, areas[field], strict=True), key=lambda each: each[1])
        place = {"transform": Affine(*georeference.transform), "fill": np.nan, "dtype": "float64"}
        low, high = (rasterize(each, shape, **place) for each in (shapes[::-1], shapes))  # the last one stays
    if len(points):
        rows, columns = _pixels(path, points.geometry.x.to_numpy(), points.geometry.y.to_numpy(), georeference, None)
        painted = _painted(path, rows, columns, points[field].to_numpy(float), shape).filled(np.nan)
        low, high = np.fmin(low, painted), np.fmax(high, painted)
    if (twofold := low < high).any():
        warnings.warn(
            f"{path}: {twofold.sum()} pixels are of two classes, where features overlap, and get no label", stacklevel=2
        )
    return np.ma.masked_where(~(low == high), high), names
