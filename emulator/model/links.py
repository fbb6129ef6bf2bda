"""Links as files and other software have them, with whatever else stands there, and the topology that they make."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dispatchers.errors import one_line
from emulator.errors import InputError
from emulator.model.access import Floats, Home, Integers
from emulator.model.topologies.kind import check_size
from emulator.model.topology import AnyTopology, from_edges, from_entries


@dataclass(frozen=True)
class Links:
    """Links between nodes that are called anything; between two of them there may be several."""

    names: Sequence[Hashable]
    """What each node is called."""
    ends: Integers
    """Links x 2 nodes, from the first to the second if directed; nodes by their place in `names`."""
    is_directed: bool = False
    sides: NDArray[np.int8] | None = None
    """Of each node 0 for a scheduler, 1 for a server, where these are two sets."""
    places: Floats | None = None
    """Nodes x (latitude, longitude), degrees, NaN where nobody has said so."""
    lengths: Floats | None = None
    """Of each link, ms."""

    @property
    def is_numbered(self) -> bool:
        """Whether nodes are called 0, 1 and so on, in any order."""
        return all(type(name) is int for name in self.names) and {*self.names} == {*range(len(self.names))}


def topology_of(
    links: Links, kind: str, source: str, *, simplify: bool = False, home: Home | None = None
) -> AnyTopology:
    """Return the topology that links make: a graph of nodes if undirected, else access lists.

    Directed links lead from a node, which holds a scheduler, to others, whose servers it can access beside its own; or
    from schedulers to servers, where these are two sets. Raises `InputError` for whatever stands in the way, all of it
    at once, unless it is to be simplified, which the topology's remark then tells.
    """
    check_size(len(links.names))
    if home is not None and links.sides is None:
        raise InputError("home is for schedulers that have no server of their own, but here each node holds both")
    is_bipartite = links.sides is not None
    links = _turned_to_servers(links) if is_bipartite else _in_order(links)
    links, changes = _simple(links)
    names = _names_to_change(links) if not is_bipartite else ""
    if (changes or names) and not simplify:
        stands = ", ".join([*(f"{what}" for _, what in changes), *([names] if names else [])])
        raise InputError(f"{source} has {stands}; simplify: true drops, merges and renumbers them")
    remark = _remark(source, links, changes, names) if changes or names else ""
    if is_bipartite:
        return _two_sets(links, kind, remark, home)
    if links.is_directed:
        topology: AnyTopology = _with_own(links, kind, remark)
    else:
        topology = from_edges(kind, links.ends, len(links.names), links.lengths, remark)
    places = None if links.places is None else links.places[:, ::-1]
    return replace(topology, places=places)


def _in_order(links: Links) -> Links:
    """Number nodes that are called by numbers as these say, and others as they come."""
    if not all(type(name) is int for name in links.names):
        return links
    order = np.argsort(np.array(links.names, dtype=np.int64), kind="stable")
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    places = None if links.places is None else links.places[order]
    return replace(links, names=[links.names[k] for k in order], ends=number[links.ends], places=places)


def _turned_to_servers(links: Links) -> Links:
    """Let links lead from schedulers to servers."""
    assert links.sides is not None
    sides = links.sides[links.ends]
    wrong = (sides[:, 0] == sides[:, 1]) | (links.is_directed & (sides[:, 0] == 1))
    if wrong.any():
        one, other = (links.names[end] for end in links.ends[np.argmax(wrong)])
        told = one_line(f"{one!r} to {other!r}", 80)
        raise InputError(f"links must lead from a scheduler (bipartite 0) to a server (1), not from {told}")
    ends = np.where(sides[:, :1] == 1, links.ends[:, ::-1], links.ends)
    return replace(links, ends=ends, is_directed=True)


def _simple(links: Links) -> tuple[Links, list[tuple[str, str]]]:
    """Return links without loops and each only once, as long as its shortest, and what was done to what."""
    changes, ends, lengths = [], links.ends, links.lengths
    is_loop = ends[:, 0] == ends[:, 1]
    if is_loop.any():
        changes.append(("dropped", _counted(int(is_loop.sum()), "loop")))
        ends, lengths = ends[~is_loop], None if lengths is None else lengths[~is_loop]
    count = len(links.names)
    codes = ends[:, 0] * count + ends[:, 1]
    one_way = len(np.unique(codes))
    if not links.is_directed:
        codes = ends.min(axis=1) * count + ends.max(axis=1)
    if lengths is None:
        first = np.sort(np.unique(codes, return_index=True)[1])
    else:
        order = np.lexsort((np.arange(len(codes)), lengths, codes))
        first = np.sort(order[np.diff(codes[order], prepend=-1) > 0])
    if one_way > len(first):
        changes.append(("merged", f"{_counted(one_way - len(first), 'link')} told in both directions"))
    if len(ends) > one_way:
        changes.append(("merged", _counted(len(ends) - one_way, "parallel link")))
    ends, lengths = ends[first], None if lengths is None else lengths[first]
    return replace(links, ends=ends, lengths=lengths), changes


def _names_to_change(links: Links) -> str:
    """Return what is wrong with the names of nodes, if anything is."""
    if links.is_numbered:
        return ""
    last, names = len(links.names) - 1, links.names
    if all(type(name) is int for name in names):
        return f"ids with holes, {min(names)} to {max(names)} instead of 0 to {last}"  # type: ignore[type-var]
    example = next(name for name in names if type(name) is not int)
    return f"nodes called by names such as {one_line(repr(example), 40)} instead of numbered 0 to {last}"


def _remark(source: str, links: Links, changes: Sequence[tuple[str, str]], names: str) -> str:
    done = [" and ".join(what for did, what in changes if did == how) for how in ("dropped", "merged")]
    parts = [f"{how} {what}" for how, what in zip(("dropped", "merged"), done, strict=True) if what]
    if names:
        order = "in the order of their ids" if "holes" in names else "as they come"
        parts.append(f"renumbered nodes {order}")
    alone = len(links.names) - len(np.unique(links.ends))
    kept = f"; {_counted(alone, 'node')} in no link" if alone else ""
    size = f"{_counted(len(links.names), 'node')} and {_counted(len(links.ends), 'link')}"
    return one_line(f"topology: {source} was simplified to {size}: {', '.join(parts)}{kept}")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _two_sets(links: Links, kind: str, remark: str, home: Home | None) -> AnyTopology:
    assert links.sides is not None
    number = np.where(links.sides == 0, np.cumsum(links.sides == 0), np.cumsum(links.sides == 1)) - 1
    schedulers, servers = (int((links.sides == side).sum()) for side in (0, 1))
    has_none = np.setdiff1d(np.flatnonzero(links.sides == 0), links.ends[:, 0])
    if len(has_none) or not schedulers:
        who = f"scheduler {one_line(repr(links.names[has_none[0]]), 40)}" if len(has_none) else "nobody"
        raise InputError(f"{who} can access a server" if not schedulers else f"{who} can access no server")
    lists = from_entries(kind, number[links.ends], schedulers, servers, lengths=links.lengths, remark=remark)
    return lists if home is None else replace(lists, access=lists.access.with_home(home))


def _with_own(links: Links, kind: str, remark: str) -> AnyTopology:
    """Return access lists of nodes that hold a scheduler and a server each: the own one, then those of the links."""
    nodes = np.arange(len(links.names))
    order = np.lexsort((links.ends[:, 1], links.ends[:, 0]))
    pairs = np.concatenate([np.stack([nodes, nodes], axis=1), links.ends[order]])
    lengths = None if links.lengths is None else np.concatenate([np.zeros(len(nodes)), links.lengths[order]])
    return from_entries(kind, pairs, len(nodes), len(nodes), has_own=True, lengths=lengths, remark=remark)
