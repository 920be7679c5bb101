"""Fits latentsync/restoration/mouth_blur.json, and says how it judges people that it has not seen.

python -m benchmarks.mouth_blur_fit SAMPLES.json [--features NAME ...] [--search N] [--write]

SAMPLES.json: of benchmarks.mouth_blur_samples. Each person's samples are judged by what is fitted
to the others. --search: tries all sets of up to N features.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentsync.restoration.edge_blur import FIGURES
from latentsync.restoration.mouth_blur import (
    COEFFICIENTS,
    FEATURES,
    BlurModel,
    EdgeVariances,
    columns_of,
    natural_log_left,
    own_excess,
)
from latentsync.settings.schema import RestoreConfig

CHOSEN = ("lost by size",)
FILMED_WEIGHT = 3.0
"""Of a filmed sample against a degraded one: what is untouched must stay untouched."""
RIDGE = 0.3
LEAST_LOST = 0.6
"""Pixels of blur, sigma, from which on a degraded sample is fitted to: less can hardly be seen."""
THREE_TIMES, GENERATOR = 1.2, 0.75
"""Blur, sigma, of 3 times down and up [pixels]; of the generator [pixels that it draws]."""
_ROUNDS = 40
OWN = "lost against own by size"


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """N samples. rows: as made. columns: of features, by name, (N,) each."""

    rows: list[dict]
    columns: dict[str, np.ndarray]

    def of(self, key: str) -> np.ndarray:
        return np.array([row[key] for row in self.rows])

    def features(self, names: Sequence[str]) -> np.ndarray:
        """(N, K)."""
        return np.stack([FEATURES[name](self.columns) for name in names], axis=1)

    def where(self, keep: np.ndarray) -> Data:
        rows = [row for row, kept in zip(self.rows, keep, strict=True) if kept]
        return Data(rows, {name: column[keep] for name, column in self.columns.items()})


def loaded(path: Path, *, whole: bool) -> Data:
    """The samples, each with the medians of its frames. whole: those of all parts of a video, as
    the gate averages them; else of each part, which the other one is a reference for."""
    rows = json.loads(path.read_text("utf-8"))
    rows = _whole(rows) if whole else rows
    figures = np.array([np.nanmedian(np.array(row["figures"], float), axis=0) for row in rows])
    scale = np.array([row["scale"] for row in rows])
    columns = columns_of(figures, scale) | {"own_excess": _own_excess(rows, figures, scale)}
    return Data(rows, columns)


def _whole(rows: list[dict]) -> list[dict]:
    """The parts of each video as one."""
    joined: dict[tuple, dict] = {}
    for row in rows:
        key = tuple(value for name, value in row.items() if name not in _OF_PART)
        known = joined.setdefault(key, {**row, "figures": []})
        known["figures"] = known["figures"] + row["figures"]
    return list(joined.values())


_OF_PART = ("segment", "scale", "figures", "left")


def _own_excess(rows: list[dict], figures: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(N,) measured pixels squared, against the same video's other part, as filmed; nan where there
    is none."""
    area = np.minimum(scale, 1) ** 2
    lips, eyes = (figures[:, FIGURES.index(name)] / area for name in ("lips", "eyes"))
    own = {
        (row["video"], row["segment"]): EdgeVariances(lips[i], eyes[i])
        for i, row in enumerate(rows)
        if _is_reference(row)
    }
    excess = np.full(len(rows), np.nan)
    for i, row in enumerate(rows):
        video, segment = row["video"], row["segment"]
        other = [one for (name, part), one in own.items() if name == video and part != segment]
        if other:
            excess[i] = own_excess(lips[i], eyes[i], other[0]) * area[i]
    return excess


def _is_reference(row: dict) -> bool:
    return row["name"] == "filmed" and not row["twice"] and (row["crf"], row["size"]) == (18, 1.0)


def lost(row: dict) -> float:
    """Nominal blur, sigma, pixels of the finished frame."""
    left = 1.0 if row["small_first"] else row["size"]
    if not row["lost"]:
        return 0.0
    if row["name"] == "3x":
        return THREE_TIMES * left
    if row["name"].startswith("Gaussian"):
        return float(row["name"].split()[1]) * left
    drawn = 3.1 * 300 / 256 * row["scale"] / left  # frame pixels for each that the generator draws
    return GENERATOR * 1.1 * max(drawn, 1.0) * left


def fitted(data: Data, names: Sequence[str]) -> BlurModel:
    """Logistic regression, by Newton's method, with a small ridge on standardised features."""
    values, degraded = data.features(names), data.of("lost").astype(float)
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-6
    design = np.c_[(values - mean) / spread, np.ones(len(values))]
    weight = np.where(degraded > 0, 1.0, FILMED_WEIGHT)
    ridge = np.r_[np.full(len(names), RIDGE), 1e-6]
    found = np.zeros(len(ridge))
    for _ in range(_ROUNDS):
        odds = np.clip(design @ found, -30, 30)
        guess = 1 / (1 + np.exp(-odds))
        gradient = design.T @ (weight * (guess - degraded)) + ridge * np.r_[found[:-1], 0]
        curve = (design * (weight * guess * (1 - guess))[:, None]).T @ design + np.diag(ridge)
        found -= np.linalg.solve(curve, gradient)
    slopes = found[:-1] / spread
    return BlurModel(
        {name: float(slope) for name, slope in zip(names, slopes, strict=True)},
        float(found[-1] - slopes @ mean),
    )


def judged_by_others(data: Data, names: Sequence[str]) -> np.ndarray:
    """(N,) probabilities, each person's by what is fitted to all others."""
    people, used = data.of("person"), np.array([_fits(row) for row in data.rows])
    judged = np.full(len(people), np.nan)
    for person in np.unique(people):
        model = fitted(data.where((people != person) & used), names)
        own = people == person
        judged[own] = model.probability(data.where(own).columns)
    return judged


def _fits(row: dict) -> bool:
    return not row["lost"] or lost(row) >= LEAST_LOST


def table(data: Data, judged: np.ndarray) -> str:
    """Per kind: share taken for degraded (filmed: touched; else: found), crf by size."""
    on, crfs, sizes = RestoreConfig().blur_on, (8, 18, 28), (1.0, 0.7, 0.5)
    head = " ".join(f"{f'{size:g}/{crf}':>8}" for size in sizes for crf in crfs)
    lines = [f"{'touched, missed [%] at size/crf':36} {head}"]
    kinds = dict.fromkeys(_kind(row) for row in data.rows)
    kind, crf, size = np.array([_kind(row) for row in data.rows]), data.of("crf"), data.of("size")
    degraded = data.of("lost")
    for name in kinds:
        cells = []
        for of_size in sizes:
            for of_crf in crfs:
                own = (kind == name) & (crf == of_crf) & (size == of_size)
                wrong = np.where(degraded[own], judged[own] <= on, judged[own] > on)
                cells.append(f"{100 * wrong.mean():8.0f}" if own.any() else f"{'':8}")
        lines.append(f"{name:36} {' '.join(cells)}")
    return "\n".join(lines)


def _kind(row: dict) -> str:
    words = [row["name"], row["area"] if row["lost"] else ""]
    words += ["at the final size"] * row["small_first"] + ["encoded twice"] * row["twice"]
    return ", ".join(filter(None, words))


def summary(data: Data, judged: np.ndarray) -> str:
    on, off = RestoreConfig().blur_on, RestoreConfig().blur_off
    degraded, enough = data.of("lost"), np.array([_fits(row) for row in data.rows])
    filmed, shown = judged[~degraded], judged[degraded & enough]
    return (
        f"filmed: touched {100 * (filmed > on).mean():.1f} %, "
        f"uncertain {100 * ((filmed > off) & (filmed <= on)).mean():.1f} %; "
        f"degraded by {LEAST_LOST} px or more: missed {100 * (shown <= on).mean():.1f} %, "
        f"of that uncertain {100 * ((shown > off) & (shown <= on)).mean():.1f} %; "
        f"AUC {_auc(filmed, shown):.3f}"
    )


def _auc(filmed: np.ndarray, degraded: np.ndarray) -> float:
    above = degraded[:, None] > filmed
    return float((above + 0.5 * (degraded[:, None] == filmed)).mean())


def searched(data: Data, most: int) -> None:
    """Prints the best sets of features, by what is missed where 3 % of the filmed are touched."""
    degraded, enough = data.of("lost"), np.array([_fits(row) for row in data.rows])
    results = []
    names = [name for name in FEATURES if name != OWN]
    for count in range(1, most + 1):
        for chosen in itertools.combinations(names, count):
            judged = judged_by_others(data, chosen)
            border = np.quantile(judged[~degraded], 0.97)
            results.append(((judged[degraded & enough] <= border).mean(), chosen))
    for missed, chosen in sorted(results)[:20]:
        print(f"{100 * missed:5.1f} %  {', '.join(chosen)}")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("samples", type=Path)
    parser.add_argument("--features", nargs="+", choices=FEATURES, default=CHOSEN)
    parser.add_argument("--search", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args(arguments)
    data = loaded(args.samples, whole=True)
    if args.search:
        searched(_known(data, [name for name in FEATURES if name != OWN]), args.search)
        return
    content: dict[str, Any] = {
        "alone": _reported("judged by the face", data, args.features),
        "own": _reported(
            "judged by the person's own mouth", loaded(args.samples, whole=False), [OWN]
        ),
    }
    content["natural_excess"] = natural(data)
    content["left"] = _energy_left(data, content["natural_excess"])
    if args.write:
        COEFFICIENTS.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def natural(data: Data) -> float:
    """Median excess of lips over eyes as filmed [pixels of the aligned crop, squared]."""
    as_filmed = data.where(~data.of("lost")).columns
    excess = as_filmed["lips"] - as_filmed["eyes"]
    return round(float(np.nanmedian(excess / np.minimum(as_filmed["scale"], 1) ** 2)), 4)


def _energy_left(data: Data, excess: float) -> dict[str, float]:
    """Fits what mouth_blur.energy_left draws its figure towards, and prints how well it says for
    people that are left out what share of the fine energy is left."""
    degraded = _known(
        data.where(np.array([row["lost"] and _fits(row) for row in data.rows])), CHOSEN
    )
    lips, eyes, scale = (degraded.columns[name] for name in (*FIGURES, "scale"))
    larger = np.maximum(scale, 1) ** 2  # frame pixels, squared, of one that is measured
    expected = np.maximum(eyes + excess * np.minimum(scale, 1) ** 2, 0) * larger
    natural = natural_log_left(np.maximum(lips * larger - expected, 0), expected)
    known, people = np.log(degraded.of("left")), degraded.of("person")
    guessed = np.full(len(known), np.nan)
    for person in np.unique(people):
        slope, bias = _line(natural[people != person], known[people != person])
        guessed[people == person] = slope * natural[people == person] + bias
    error = np.exp(guessed - known)
    print(
        f"\nenergy left, said over true, of people left out: median {np.median(error):.2f}, "
        f"within 20 %: {100 * (np.abs(np.log(error)) < np.log(1.2)).mean():.0f} %"
    )
    slope, bias = _line(natural, known)
    return {"natural": round(slope, 4), "bias": round(bias, 4)}


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope and bias by least squares."""
    slope = float(np.cov(x, y)[0, 1] / np.var(x, ddof=1))
    return slope, float(y.mean() - slope * x.mean())


def _known(data: Data, names: Sequence[str]) -> Data:
    return data.where(~np.isnan(data.features(names)).any(axis=1))


def _reported(title: str, data: Data, names: Sequence[str]) -> dict:
    """Prints how people that are left out are judged. -> what the model is."""
    data = _known(data, names)
    judged = judged_by_others(data, names)
    people = len(np.unique(data.of("person")))
    print(f"\n{title}, {people} people, {len(judged)} samples\n{table(data, judged)}")
    print(summary(data, judged))
    model = fitted(data.where(np.array([_fits(row) for row in data.rows])), names)
    return {
        "weights": {name: round(weight, 4) for name, weight in model.weights.items()},
        "bias": round(model.bias, 4),
    }


if __name__ == "__main__":
    main()
