"""How similar two faces look: the one measure by which people are recognised.

SFace, a face recognition network, is used where its weights are at hand. Without them Appearance
compares the directions of edges from the hairline to the nose: neither mouth, light nor colours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch

from latentsync.errors import CheckpointError
from latentsync.face.portraits import GALLERY, SIDE, Portrait, images_of
from latentsync.runtime.execution import REFERENCE
from latentsync.runtime.openvino import Graph, plugins
from latentsync.weights.find import find
from latentsync.weights.manifest import SFACE


class Embedding(Protocol):
    """Portraits -> vectors of unit length, whose products say how similar the faces are.

    name: for reports. same: likeness (see likeness()) from which two sets of portraits count as
    one person. different: below it they are surely two. margin: difference that decides between
    two people.
    """

    @property
    def name(self) -> str: ...
    @property
    def same(self) -> float: ...
    @property
    def different(self) -> float: ...
    @property
    def margin(self) -> float: ...

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        """(n, 112, 112, 3) uint8 RGB, see face.portraits; n at least 1 -> (n, D) float32."""
        ...


def vectors_of(portraits: Sequence[Portrait], embedding: Embedding) -> np.ndarray:
    """(n, D) float32 of the portraits that are compared, see images_of; (0, 0) without any."""
    return embedding(images_of(portraits)) if portraits else np.zeros((0, 0), np.float32)


def likeness(one: np.ndarray, other: np.ndarray) -> float | None:
    """(n, D), (m, D) unit vectors -> -1..1; None where one of them is empty.

    The mean of each portrait's product with the best of the other set, over the better half: the
    sets may show a head from different sides, and then only some portraits have a counterpart.
    """
    if not len(one) or not len(other):
        return None
    products = one @ other.T
    count = max(1, min(products.shape) // 2)
    halves = [np.sort(products.max(axis=axis))[-count:].mean() for axis in (0, 1)]
    return float(np.mean(halves))


def numbered(sets: Sequence[np.ndarray], embedding: Embedding) -> np.ndarray:
    """(k,) int from 0: one number for each person. sets: k sets of vectors, (n, D) each, n > 0.

    In doubt one person gets two numbers.
    """
    known: list[np.ndarray] = []
    numbers = np.empty(len(sets), np.int64)
    for place, vectors in enumerate(sets):
        likes = [likeness(vectors, other) or -1.0 for other in known]
        best = int(np.argmax(likes)) if likes else -1
        if best >= 0 and likes[best] >= embedding.same:
            numbers[place] = best
            known[best] = np.concatenate([known[best], vectors])[-GALLERY:]
        else:
            numbers[place] = len(known)
            known.append(vectors)
    return numbers


class Appearance:
    """Histograms of edge directions in a grid over the upper face, less those of a mean face.

    Judged on 13 people (25 tracks of 21 clips, half against half; the mean face without the two
    people compared): one person 0.76 to 1; two people up to 0.64, half of them below 0.19. Darker,
    warmer or at lower resolution the same; with all light from one side one person 0.44 to 1 (one
    pair in twenty below `same`), two people up to 0.68.
    """

    name = "edges of the upper face"
    same, different, margin = 0.70, 0.40, 0.10

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        vectors = [edge_histograms(image) - mean_face() for image in portraits]
        return _unit(np.stack(vectors))


class SFace:
    """The network SFace (OpenCV's model zoo), run by OpenVINO: 128 numbers for each portrait.

    The limit is the one that OpenCV publishes for it.
    """

    name = "SFace"
    same, different, margin = 0.363, 0.2, 0.08

    def __init__(self, path: Path) -> None:
        """path: the ONNX file. It runs on the CPU, in one thread."""
        execution = replace(REFERENCE, threads=1)
        self._graph = Graph(path, (torch.zeros(1, 3, SIDE, SIDE),), execution, torch.float32)

    def __call__(self, portraits: np.ndarray) -> np.ndarray:
        """The network takes RGB code values, 0 to 255: OpenCV's FaceRecognizerSF turns its BGR
        images round."""
        images = torch.from_numpy(portraits).permute(0, 3, 1, 2).float()
        vectors = [self._graph(image[None])[0].numpy().ravel() for image in images]
        return _unit(np.stack(vectors))


def load_embedding(folders: Sequence[str | Path] = ()) -> Embedding:
    """SFace where its weights are found (see weights.find) and OpenVINO is installed.

    Else Appearance. Downloads nothing.
    """
    if not plugins():
        return Appearance()
    try:
        return SFace(find(SFACE, folders=folders))
    except CheckpointError:
        return Appearance()


ROWS, COLUMNS = slice(0, 6), slice(1, 7)
"""Cells of the portrait that are compared: hairline to nose, without the background beside it."""
CELL, DIRECTIONS = 14, 8
SMOOTHING, SURROUNDINGS = 1.5, 12.0
"""Sigmas in pixels: before edges are computed; of the mean that their strength is divided by."""
FAINT = 2.0
"""Edge strength in code values, added to that mean: fainter edges are noise."""


def edge_histograms(image: np.ndarray) -> np.ndarray:
    """(112, 112, 3) uint8 RGB -> (288,) float32: root of the edge strength by cell and direction.

    Dalal and Triggs 2005 with overlapping Gaussian cells; dividing by the mean strength around
    each pixel takes out contrast and most of the light's direction.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), SMOOTHING), np.float32)
    dx, dy = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength, angle = cv2.cartToPolar(dx, dy)
    around = np.asarray(cv2.GaussianBlur(strength, (0, 0), SURROUNDINGS), np.float32)
    relative = np.asarray(strength, np.float32) / (around + FAINT)
    sector = angle * (DIRECTIONS / (2 * np.pi))
    cells = []
    for direction in range(DIRECTIONS):
        away = np.abs((sector - direction + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2)
        plane = cv2.GaussianBlur(relative * np.maximum(1 - away, 0), (0, 0), CELL / 2)
        cells.append(plane[CELL // 2 :: CELL, CELL // 2 :: CELL][ROWS, COLUMNS])
    return np.sqrt(np.stack(cells, axis=-1)).ravel()


@cache
def mean_face() -> np.ndarray:
    """(288,) float32: edge_histograms of a mean face, of 13 people and their mirror images."""
    text = (files("latentsync.face") / "mean_face.json").read_text("utf-8")
    return np.array(json.loads(text), np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
