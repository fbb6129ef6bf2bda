"""Places: nodes in a square or on the globe, and how far apart they are."""

from __future__ import annotations

import itertools
import math

import numpy as np

from emulator.model.access import Floats, Integers
from emulator.randomness import TOPOLOGY, random_words

EARTH = 6371.0088
"""Mean radius of the Earth, km."""

PAIRS = 2**22
"""Pairs of nodes whose distances are looked at together."""


def rounded(lengths: Floats) -> Floats:
    """Return numbers to 12 significant digits, so that the last bits of sines, or of roots, decide nothing."""
    return np.array([float(f"{length:.12g}") for length in lengths.tolist()])


def great_circles(places: Floats, edges: Integers) -> Floats:
    """Return the length of each edge along a great circle, km; places are nodes x (latitude, longitude), degrees."""
    latitude, longitude = np.radians(places[edges].transpose(2, 0, 1))
    rise, turn = np.diff(latitude, axis=1)[:, 0], np.diff(longitude, axis=1)[:, 0]
    half = np.sin(rise / 2) ** 2 + np.prod(np.cos(latitude), axis=1) * np.sin(turn / 2) ** 2
    return 2.0 * EARTH * np.arcsin(np.sqrt(np.minimum(half, 1.0)))


def random_places(nodes: int, seed: int) -> Floats:
    """Return nodes x 2 numbers, uniform on [0, 1)."""
    words = random_words(seed, TOPOLOGY, 2 * nodes) >> np.uint64(11)
    return words.astype(np.float64).reshape(nodes, 2) * 2.0**-53


def near_pairs(places: Floats, radius: float, *, wrap: bool) -> tuple[Integers, Floats]:
    """Return the pairs of places in the unit square at most a radius apart, once each, and their distances.

    With `wrap` opposite borders are joined. Looked at are pairs in the same cell of a grid or in neighbouring ones.
    """
    cells = max(1, min(int(1.0 / radius), math.isqrt(len(places))))
    if wrap and cells < 3:
        cells = 1  # or a cell would be a neighbour on both sides
    row, column = np.minimum((places * cells).astype(np.int64), cells - 1).T
    order = np.argsort(row * cells + column, kind="stable")
    starts = np.searchsorted((row * cells + column)[order], np.arange(cells**2 + 1))
    place = np.arange(len(places))
    pairs, distances = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for down, right in [(0, 0)] if cells == 1 else [(0, 0), (0, 1), (1, -1), (1, 0), (1, 1)]:
        below, beside = row[order] + down, column[order] + right
        is_there = np.ones(len(places), dtype=bool) if wrap else (below < cells) & (beside >= 0) & (beside < cells)
        cell = np.where(is_there, below % cells * cells + beside % cells, 0)
        first = place + 1 if (down, right) == (0, 0) else starts[cell]
        counts = np.where(is_there, starts[cell + 1] - first, 0)
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        cuts = np.unique([0, *np.searchsorted(ends, np.arange(PAIRS, total, PAIRS)), len(places)])
        for begin, end in itertools.pairwise(cuts.tolist()):
            some = counts[begin:end]
            one = np.repeat(place[begin:end], some)
            other = np.arange(len(one)) - np.repeat(np.cumsum(some) - some, some) + np.repeat(first[begin:end], some)
            both = np.stack([order[one], order[other]], axis=1)
            apart = np.abs(places[both[:, 0]] - places[both[:, 1]])
            if wrap:
                apart = np.minimum(apart, 1.0 - apart)
            distance = np.sqrt((apart**2).sum(axis=1))
            pairs.append(both[distance <= radius])
            distances.append(distance[distance <= radius])
    return np.concatenate(pairs), np.concatenate(distances)
