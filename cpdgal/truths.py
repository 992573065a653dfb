"""Ground truths in any form: a raster of the scene's grid, a table of points, points or polygons of a vector file."""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from .readers import Georeference, SceneError, read_array

VECTOR = (".gpkg", ".geojson", ".shp")


Truth = tuple[np.ndarray, dict[int, str]]  # the classes of a grid, and their names where the file has names


def rasterised(path: Path, key: str | None, shape: tuple, georeference: Georeference | None, crs: str | None) -> Truth:
    """The ground truth of a file on a grid of `shape`; ``key`` is a variable, or the field or column of the classes, which are
    numbers, or names and then 1..K in alphabetical order."""
    if path.suffix.lower() in (".csv", *VECTOR) and not os.path.isfile(path):
        raise SceneError(f"{path} does not exist or is not a file; check the path")
    if path.suffix.lower() == ".csv":
        return _from_table(path, key or "class", shape, georeference, crs)
    if path.suffix.lower() in VECTOR:
        return _from_vector(path, key or "class", shape, georeference)
    return read_array(path, key, dimensions=2), {}


def _from_table(path: Path, field: str, shape: tuple, georeference: Georeference | None, crs: str | None) -> Truth:
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise SceneError(f"{path} cannot be read as a table ({' '.join(str(error).split())[:80]}); save it as CSV") from error
    table.columns = table.columns.str.strip().str.lower()
    placed = [pair for pair in (["row", "column"], ["x", "y"]) if set(pair) <= set(table.columns)]
    if field.lower() not in table.columns or not placed:
        named = ", ".join(table.columns)[:80]
        raise SceneError(f"{path} has the columns {named}; it needs row, column and {field}, or x, y and {field}")
    classes, names = _numbered(path, table[field.lower()])
    numbers = table[placed[0]].apply(pd.to_numeric, errors="coerce").assign(**{field.lower(): classes})
    if (bad := ~np.isfinite(numbers.to_numpy(float)).all(axis=1)).any():
        line = int(np.argmax(bad)) + 2
        raise SceneError(f"{path}: line {line} has nothing usable in one of {', '.join(numbers)}; correct it")
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
    if not (named := numbers.isna() & classes.notna()).any():
        return numbers, {}
    if numbers.notna().any():
        mixed = f"{classes[named].iloc[0]!r:.40} beside numbers as {classes[~named].dropna().iloc[0]!s:.40}"
        raise SceneError(f"{path}: the classes are {mixed}; give every class a name, or every class a number")
    codes, names = pd.factorize(classes.astype(str).str.strip().where(named), sort=True)
    return pd.Series(codes + 1.0, classes.index).where(named), dict(enumerate(names, 1))


def _pixels(path: Path, x, y, georeference: Georeference | None, crs: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of points in the raster's or a named CRS."""
    if georeference is None:
        raise SceneError(
            f"{path} has x and y, and the cube has no georeference; give row and column, or a GeoTIFF or ENVI cube"
        )
    if crs:
        from rasterio.errors import CRSError
        from rasterio.warp import transform

        try:
            x, y = map(np.array, transform(crs, georeference.crs, x, y))
        except CRSError as error:
            raise SceneError(f"{crs[:60]!r} is no CRS; name one such as EPSG:4326") from error
    a, b, c, d, e, f = georeference.transform
    columns, rows = np.linalg.solve([[a, b], [d, e]], np.stack([np.subtract(x, c), np.subtract(y, f)]))
    return np.floor(rows), np.floor(columns)


def _painted(path: Path, rows, columns, classes, shape: tuple) -> np.ndarray:
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
    labels = np.zeros(shape)
    labels[rows.astype(int), columns.astype(int)] = classes
    return labels


def _from_vector(path: Path, field: str, shape: tuple, georeference: Georeference | None) -> Truth:
    try:
        import geopandas
        from rasterio.features import rasterize
        from rasterio.transform import Affine
    except ImportError as error:
        raise SceneError(f"{path} needs geopandas to be read; install it with: pip install 'cpdgal[geo]'") from error
    if georeference is None:
        raise SceneError(f"{path} has coordinates, and the cube has no georeference; give a GeoTIFF or ENVI cube with a CRS")
    try:
        table = geopandas.read_file(path)
    except Exception as error:  # whatever the driver raises
        raise SceneError(f"{path} cannot be read ({' '.join(str(error).split())[:80]}); save it as GeoPackage") from error
    if field not in table.columns:
        raise SceneError(
            f"{path} has the fields {', '.join(map(str, table.columns))[:80]}; name that of the classes as labels_key"
        )
    classes, names = _numbered(path, table[field])
    if classes.isna().any() or table.crs is None:
        raise SceneError(f"{path}: every feature needs a class in {field!r}, and the file a CRS; correct it in your GIS")
    table = table.assign(**{field: classes}).to_crs(georeference.crs)
    points = table[table.geom_type == "Point"]
    areas = table[table.geom_type.isin(("Polygon", "MultiPolygon"))]
    if len(points) + len(areas) < len(table) or not len(table):
        raise SceneError(f"{path} needs points or polygons alone, and {len(table)} features have other forms too; split it")
    labels = np.zeros(shape)
    if len(areas):
        shapes = zip(areas.geometry, areas[field], strict=True)
        labels = rasterize(shapes, out_shape=shape, transform=Affine(*georeference.transform), dtype="float64")
    if len(points):
        rows, columns = _pixels(path, points.geometry.x.to_numpy(), points.geometry.y.to_numpy(), georeference, None)
        labels = np.maximum(labels, _painted(path, rows, columns, points[field].to_numpy(float), shape))
    return labels, names
