"""Heart disease at four hospitals: small, natural clients with missing values.

Janosi, Steinbrunn, Pfisterer, Detrano. "Heart Disease", UCI Machine Learning Repository, 1988.
https://doi.org/10.24432/C52P4X. As a federated benchmark: Ogier du Terrail et al. "FLamby", NeurIPS
2022, "Fed-Heart-Disease". https://arxiv.org/abs/2210.04620

Differs from FLamby: all 13 columns and all patients are kept (FLamby drops three columns and
who misses a value), and the columns are used as numbers, not as dummies.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from flnb.core.errors import DataError
from flnb.datasets.arrays import FederatedData
from flnb.datasets.files import data_folder, read_data_file
from flnb.datasets.own import every_fifth, own

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
COLUMNS = (
    *("age", "sex", "cp", "trestbps", "chol", "fbs", "restecg"),
    *("thalach", "exang", "oldpeak", "slope", "ca", "thal"),
)
_NEVER_ZERO = [COLUMNS.index("trestbps"), COLUMNS.index("chol")]
_SOURCE = "https://archive.ics.uci.edu/dataset/45/heart+disease"


def heart(
    directory: str | Path | None = None, *, fold: int = 4, apart: bool = False
) -> FederatedData:
    """Read the four hospitals: 13 standardised float32 columns, target 1 for any disease.

    Each hospital is a client. Its test part is every fifth healthy and every fifth ill patient, in
    the order of the file; the central test set is all four together. Missing is `?`, an empty
    cell, and a blood pressure or cholesterol of 0, which no living patient has. A missing value
    becomes the median of its column, then columns get mean 0 and deviation 1. Medians, means and
    deviations are those of the training patients of all hospitals together, never of test patients.

    Args:
        directory: Folder of `processed.<hospital>.data`, with or without a header line; by
            default `heart` in `FLNB_DATA_DIR`.
        fold: Which fifth is the test part, 0 … 4; over all five each patient is tested once.
        apart: Measure each hospital's test patients apart as well (`auc_cleveland`).

    Raises:
        DataError: A file is missing, a line does not have 14 numbers, nobody has a value of
            some column, or there is no such fold.
    """
    if not 0 <= fold < 5:
        raise DataError(f"fold={fold}: the five test parts are 0 … 4")
    folder = data_folder(directory, "heart")
    tables = [_read_hospital(folder, hospital) for hospital in HOSPITALS]
    target = np.concatenate([table[:, -1] > 0 for table in tables]).astype(np.int64)
    hospital = np.repeat(np.arange(len(HOSPITALS)), [len(table) for table in tables])
    held_out = every_fifth(2 * hospital + target, fold)
    kept = np.setdiff1d(np.arange(len(target)), held_out)
    columns = _standardise(np.concatenate(tables)[:, :-1], kept)
    return own(
        columns[kept],
        target[kept],
        ids=np.array(HOSPITALS)[hospital[kept]],
        test=(columns[held_out], target[held_out]),
        test_ids=np.array(HOSPITALS)[hospital[held_out]] if apart else None,
        n_classes=2,
        name="heart",
        labels=("healthy", "ill"),
    )


def _read_hospital(folder: Path, hospital: str) -> Float64[np.ndarray, "patients columns"]:
    name = f"processed.{hospital}.data"
    text = read_data_file(folder, name, source=_SOURCE).decode("utf-8", errors="replace")
    lines = [line for line in csv.reader(text.splitlines()) if line]
    if lines and lines[0][0].strip() == COLUMNS[0]:
        lines = lines[1:]
    if not lines:
        raise DataError(f"{folder / name} has no patients", hint=f"get it again from {_SOURCE}")
    table = np.array([_read_patient(line, f"{folder / name}") for line in lines])
    if np.isnan(table[:, -1]).any():
        patient = int(np.isnan(table[:, -1]).argmax()) + 1
        raise DataError(f"{folder / name}: patient {patient} has no target")
    return table


def _read_patient(line: list[str], where: str) -> list[float]:
    cells = [cell.strip() for cell in line]
    try:
        values = [np.nan if cell in {"", "?"} else float(cell) for cell in cells]
    except ValueError as error:
        raise DataError(f"{where}: {error} in line {','.join(line)!r}") from None
    if len(values) != len(COLUMNS) + 1:
        raise DataError(f"{where}: {len(values)} columns, not 14, in line {','.join(line)!r}")
    return values


def _standardise(
    columns: Float64[np.ndarray, "patients columns"], train: Int64[np.ndarray, " kept"]
) -> Float32[np.ndarray, "patients columns"]:
    values = columns.copy()
    measured = values[:, _NEVER_ZERO]
    values[:, _NEVER_ZERO] = np.where(measured == 0, np.nan, measured)
    if (blank := np.isnan(values[train]).all(axis=0)).any():
        raise DataError(f"no training patient has a value of {COLUMNS[int(blank.argmax())]!r}")
    values = np.where(np.isnan(values), np.nanmedian(values[train], axis=0), values)
    deviation = values[train].std(axis=0)
    standard = (values - values[train].mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return np.asarray(standard, dtype=np.float32)
