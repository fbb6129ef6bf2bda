"""Random simple graphs with given degrees: stubs matched at random, and switched where that is not simple."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emulator.errors import InputError
from emulator.model.access import Integers
from emulator.randomness import TOPOLOGY, random_words


def match(nodes: int, degrees: Sequence[int], seed: int) -> Integers:
    """Return the edges, pairs of nodes, of a random simple graph with degrees as `configuration_model` says.

    Stubs are matched at random until the graph is simple, which makes every simple graph with these degrees equally
    likely. Where that could take long, the few loops and double edges of a large or dense matching are removed by
    random switches of edge ends instead. Raises `InputError` if no simple graph has these degrees.
    """
    allowed = np.asarray(degrees, dtype=np.int64)
    if len(allowed) == 0 or (allowed < 0).any():
        raise InputError(f"degrees must be whole numbers >= 0, at least one of them, got {list(degrees)}")
    sequence = allowed if len(allowed) == nodes else _draw_degrees(nodes, allowed, seed)
    if not is_graphical(sequence):
        shown = list(degrees) if len(degrees) <= 12 else f"{len(degrees)} degrees"
        raise InputError(
            f"no simple graph of {nodes} nodes has the degrees {shown}: "
            "their sum must be even and each at most the number of others that can take it"
        )
    stubs = np.repeat(np.arange(nodes), sequence)
    attempts = _attempts_at_a_simple_matching(sequence)
    effort = 400_000 + 5 * len(stubs)
    for attempt in range(attempts + 20):
        words = random_words(attempt_seed(seed, attempt), TOPOLOGY, len(stubs))
        ends = stubs[np.argsort(words, kind="stable")].reshape(-1, 2)
        if attempt < attempts:
            simple = len(_bad_edges(ends, nodes)) == 0
        else:
            effort = _switch_until_simple(ends, nodes, attempt_seed(seed, attempt) ^ 0x55555555, effort)
            simple = effort > 0 and len(_bad_edges(ends, nodes)) == 0
        if simple:
            return ends
        if effort <= 0:  # about half of all pairs are edges, or more: switches make as many bad ones as they mend
            break
    import networkx as nx  # for the dense few that switches do not reach

    return np.array(nx.havel_hakimi_graph(sequence.tolist()).edges, dtype=np.int64).reshape(-1, 2)


def _attempts_at_a_simple_matching(sequence: Integers) -> int:
    """Return how many matchings to try: none for large graphs, where switches change a vanishing share of edges.

    A matching is simple with probability about exp(-r / 2 - r**2 / 4), r = E[d (d - 1)] / E[d] (B. Bollobas, 1980).
    """
    stubs = int(sequence.sum())
    if stubs == 0 or stubs > 20_000:
        return 0
    ratio = float((sequence * (sequence - 1)).sum()) / stubs
    chance = np.exp(-ratio / 2 - ratio**2 / 4)
    return min(2000, int(20 / chance)) if chance > 0.01 else 0


def is_graphical(degrees: Integers) -> bool:
    """Tell whether a simple graph has these degrees (P. Erdos and T. Gallai, 1960)."""
    ordered = np.sort(degrees)[::-1]
    count = len(ordered)
    if ordered.sum() % 2 or ordered[0] >= count:
        return False
    rank = np.arange(1, count + 1)
    # Sum over the others of min(degree, k): those of degree >= k count k, the rest their degree.
    at_least = np.searchsorted(-ordered, -rank, side="right")
    tails = np.append(np.cumsum(ordered[::-1])[::-1], 0)
    others = rank * np.maximum(at_least - rank, 0) + tails[np.maximum(at_least, rank)]
    return bool((np.cumsum(ordered) <= rank * (rank - 1) + others).all())


def _draw_degrees(nodes: int, allowed: Integers, seed: int) -> Integers:
    words = random_words(seed, TOPOLOGY, nodes + 64) % np.uint64(len(allowed))
    sequence = allowed[words[:nodes].astype(np.int64)]
    if sequence.sum() % 2 and len(set((allowed % 2).tolist())) == 2:
        others = allowed[allowed % 2 != sequence[0] % 2]
        sequence[0] = others[int(words[nodes]) % len(others)]
    return sequence


def attempt_seed(seed: int, attempt: int) -> int:
    """Return a seed for each of several attempts, or purposes, that belong to one seed."""
    return (seed * 0x9E3779B1 + attempt * 0x85EBCA6B + 1) % 2**32


def _switch_until_simple(ends: Integers, nodes: int, seed: int, effort: int, size: int = 1) -> int:
    """Switch ends of bad edges with those of random edges, in place, until the graph is simple.

    Bad are edges inside a group of `size`, too.

    Return what is left of the `effort`, counted in switches; without any, the graph is not simple, nor may it be else.
    """
    for round_number in range(200):
        bad = _bad_edges(ends, nodes, size)
        effort -= len(bad) + len(ends) // 4  # a look at all edges takes as long as that many switches
        if len(bad) == 0 or effort <= 0:
            break
        words = random_words(attempt_seed(seed, round_number), TOPOLOGY, 2 * len(bad))
        partners = (words[: len(bad)] % np.uint64(len(ends))).astype(np.int64)
        sides = (words[len(bad) :] & np.uint64(1)).astype(np.int64)
        for edge, partner, side in zip(bad.tolist(), partners.tolist(), sides.tolist(), strict=True):
            ends[edge, 1], ends[partner, side] = ends[partner, side], ends[edge, 1]
    return effort


def _bad_edges(ends: Integers, nodes: int, size: int = 1) -> Integers:
    """Return the edges inside a group of `size`, loops among them, and of each set of double edges all but one."""
    codes = ends.min(axis=1) * nodes + ends.max(axis=1)
    order = np.argsort(codes, kind="stable")
    repeated = np.zeros(len(ends), dtype=bool)
    repeated[order[1:]] = codes[order[1:]] == codes[order[:-1]]
    return np.flatnonzero(repeated | (ends[:, 0] // size == ends[:, 1] // size))


def match_across(groups: int, size: int, degree: int, seed: int) -> Integers:
    """Return edges that give each node of some groups of a size `degree` random neighbours in other groups.

    Stubs are matched at random, and bad edges switched away; where half of all such edges or more are wanted, those
    that are not. `degree` is at most what there is, and even for an odd number of nodes.
    """
    nodes, most = groups * size, (groups - 1) * size
    if 2 * degree > most:
        unwanted = match_across(groups, size, most - degree, seed)
        one, other = np.triu_indices(nodes, 1)
        is_across = one // size != other // size
        wanted = np.isin(one * nodes + other, unwanted.min(axis=1) * nodes + unwanted.max(axis=1), invert=True)
        return np.stack([one, other], axis=1)[is_across & wanted]
    stubs = np.repeat(np.arange(nodes), degree)
    words = random_words(attempt_seed(seed, 0), TOPOLOGY, len(stubs))
    ends = stubs[np.argsort(words, kind="stable")].reshape(-1, 2)
    effort = _switch_until_simple(ends, nodes, attempt_seed(seed, 1), 400_000 + 20 * len(stubs), size)
    if effort > 0 and len(_bad_edges(ends, nodes, size)) == 0:
        return ends
    # So dense that switches do not get there: a circulant, of which only the numbering is random.
    number = _numbering_by_group(groups, size, seed)
    return number[_circulant_across(groups, size, degree)]


def _numbering_by_group(groups: int, size: int, seed: int) -> Integers:
    """Return the node that stands at each place, where places go from group to group."""
    words = random_words(attempt_seed(seed, 2), TOPOLOGY, groups * size).reshape(groups, size)
    within = np.argsort(words, axis=1, kind="stable") + size * np.arange(groups)[:, None]
    return within[np.argsort(words[:, 0], kind="stable")].T.ravel()


def _circulant_across(groups: int, size: int, degree: int) -> Integers:
    """Return edges of places, place p being in group p % groups, from each to those at certain steps ahead."""
    nodes = groups * size
    place = np.arange(nodes)
    edges = [np.empty((0, 2), dtype=np.int64)]
    steps = [step for step in range(1, (nodes + 1) // 2) if step % groups]
    if degree % 2 and nodes // 2 % groups:
        edges.append(np.stack([place[: nodes // 2], place[: nodes // 2] + nodes // 2], axis=1))
    elif degree % 2:
        edges.append(place.reshape(-1, 2))  # each even place and the next: half of the edges of step 1
        steps = steps[1:]
    edges += [np.stack([place, (place + step) % nodes], axis=1) for step in steps[: degree // 2]]
    return np.concatenate(edges)
