"""Files of graphs as people have them: GML, GraphML, node-link JSON, and lists of edges."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dispatchers.errors import one_line
from dispatchers.files import read_regular
from emulator.errors import InputError
from emulator.model.access import Floats
from emulator.model.edges import LARGEST_FILE
from emulator.model.links import Links

Values = Mapping[str, Any]

LATITUDES, LONGITUDES = ("latitude", "lat"), ("longitude", "lon", "lng", "long")
"""What coordinates are called, in any case."""

HEADINGS = {"source", "target", "from", "to", "src", "dst", "fromnodeid", "tonodeid", "u", "v", "node1", "node2"}
"""What the first columns of a list of edges are called, in any case."""

_GML = re.compile(r'\s*(?:#[^\n]*|([\[\]])|"([^"]*)"|([^\s\[\]"]+))')


def read_links(path: str, key: str | None = None, *, is_directed: bool | None = None) -> Links:
    """Read the links of a file, with their lengths, ms, if `key` says what these are called. Raises `InputError`.

    Whether they are directed the file says, if nobody else does; a list of edges is not.
    """
    return _read_once(path, os.path.isfile(path) and os.path.getmtime(path), key, is_directed)


@lru_cache(maxsize=4)
def _read_once(path: str, modified: float, key: str | None, is_directed: bool | None) -> Links:
    """Read a file only once as long as its time stays `modified`: every point of a sweep asks."""
    reader = READERS.get(Path(path).suffix.lower(), _read_edges)
    try:
        nodes, links, directed = reader(read_regular(Path(path), LARGEST_FILE))
        return _links_of(nodes, links, directed if is_directed is None else is_directed, key)
    except InputError as error:
        raise InputError(f"{path}{error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:  # a parser's own, of any kind
        told = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: cannot be read as a graph: {one_line(told, 200)}") from None


Link = tuple[Hashable, Hashable, Values]
"""Where it comes from, where it leads to, and all that is said of it."""

Parsed = tuple[dict[Hashable, Values], list[Link], bool]
"""Nodes by name and links, both with all that is said of them, and whether links are directed."""


def _text(data: bytes) -> str:
    """Return a file as text: UTF-8, or else Latin-1, as older maps with names of places are."""
    if b"\0" in data:
        raise InputError(": is no text in UTF-8 or Latin-1; is it packed?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _links_of(nodes: Mapping[Hashable, Values], links: Sequence[Any], is_directed: bool, key: str | None) -> Links:
    number = {name: index for index, name in enumerate(nodes)}
    for source, target, _ in links:
        for name in (source, target):
            if name not in number:
                raise InputError(f": a link leads to {one_line(repr(name), 40)}, which is no node")
    ends = np.array([(number[source], number[target]) for source, target, _ in links], dtype=np.int64).reshape(-1, 2)
    places = np.array([[_number(values, names) for names in (LATITUDES, LONGITUDES)] for values in nodes.values()])
    return Links(
        [*nodes],
        ends,
        is_directed,
        _sides([values.get("bipartite") for values in nodes.values()]),
        None if np.isnan(places).all() else places,
        None if key is None else _lengths(links, key),
    )


def _number(values: Values, names: Sequence[str]) -> float:
    """Return the number that is called by one of some names, in any case, NaN if there is none."""
    for name, value in values.items():
        if name.lower() in names:
            try:
                return float(value)
            except (TypeError, ValueError):
                return math.nan
    return math.nan


def _sides(sides: Sequence[Any]) -> Any:
    if all(side is None for side in sides):
        return None
    if not all(str(side) in ("0", "1") for side in sides):
        raise InputError(": nodes must all have bipartite 0 (scheduler) or 1 (server), or none of them")
    return np.array([int(side) for side in sides], dtype=np.int8)


def _lengths(links: Sequence[Any], key: str) -> Floats:
    lengths = np.array([_number(values, (key.lower(),)) for _, _, values in links], dtype=np.float64)
    wrong = ~((lengths >= 0.0) & (lengths < math.inf))
    if wrong.any():
        source, target, values = links[int(np.argmax(wrong))]
        where, count = one_line(f"{source!r} to {target!r}", 60), int(wrong.sum())
        got = one_line(repr(values.get(key)), 40)
        raise InputError(f": {count:,} links have no {key} >= 0 (ms), the first from {where}: got {got}")
    return lengths


def _read_gml(data: bytes) -> Parsed:
    """Read GML (M. Himsolt, 1997): keys with numbers, texts or lists of these."""
    matches = (match.groups() for match in _GML.finditer(_text(data)))
    tokens = [parts for parts in matches if any(part is not None for part in parts)]
    position = 0

    def entries(depth: int) -> list[tuple[str, Any]]:
        nonlocal position
        found: list[tuple[str, Any]] = []
        while position < len(tokens):
            bracket, _, key = tokens[position]
            position += 1
            if bracket == "]" and depth:
                return found
            if key is None or position == len(tokens) or depth > 50:
                raise InputError(": is no GML: a key must stand before each value")
            bracket, string, word = tokens[position]
            position += 1
            found.append((key, entries(depth + 1) if bracket == "[" else _gml_value(bracket, string, word)))
        if depth:
            raise InputError(": is no GML: a bracket is not closed")
        return found

    graphs = [value for key, value in entries(0) if key.lower() == "graph" and isinstance(value, list)]
    if len(graphs) != 1:
        raise InputError(f": must hold one graph, got {len(graphs)}")
    nodes = [dict(value) for key, value in graphs[0] if key == "node"]
    edges = [dict(value) for key, value in graphs[0] if key == "edge"]
    if not all("id" in node for node in nodes) or not all({"source", "target"} <= edge.keys() for edge in edges):
        raise InputError(": each node must have an id, and each edge a source and a target")
    links: list[Link] = [(edge["source"], edge["target"], edge) for edge in edges]
    return _by_name([node["id"] for node in nodes], nodes), links, bool(dict(graphs[0]).get("directed", 0))


def _gml_value(bracket: str | None, string: str | None, word: str | None) -> Any:
    if bracket is not None:
        raise InputError(": is no GML: a key must have a value")
    if string is not None:
        return string
    for kind in (int, float):
        try:
            return kind(word)  # type: ignore[arg-type]
        except ValueError:
            continue
    return word


def _by_name(names: Sequence[Hashable], values: Sequence[Values]) -> dict[Hashable, Values]:
    by_name = dict(zip(names, values, strict=True))
    if len(by_name) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise InputError(f": two nodes have the id {one_line(repr(twice), 40)}")
    return by_name


def _read_graphml(data: bytes) -> Parsed:
    import networkx as nx

    graph = nx.read_graphml(io.BytesIO(data), force_multigraph=True)  # the file says how it is encoded
    as_numbers = all(re.fullmatch(r"[0-9]{1,18}", str(name), re.ASCII) for name in graph)
    name_of: Callable[[Any], Hashable] = int if as_numbers else str
    nodes: dict[Hashable, Values] = {name_of(name): values for name, values in graph.nodes.items()}
    links = [(name_of(source), name_of(target), values) for source, target, values in graph.edges(data=True)]
    return nodes, links, graph.is_directed()


def _read_json(data: bytes) -> Parsed:
    """Read the node-link form: `nodes` with an `id` each, and `links` or `edges` with `source` and `target`."""
    graph = json.loads(data)
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list):
        raise InputError(": must be a mapping with nodes and links")
    edges = graph.get("links", graph.get("edges"))
    if not isinstance(edges, list) or not all(isinstance(item, dict) for item in [*edges, *graph["nodes"]]):
        raise InputError(": must hold lists of nodes and of links, each a mapping")
    if not all("id" in node and isinstance(node["id"], int | str) for node in graph["nodes"]):
        raise InputError(": each node must have an id, a number or text")
    if not all({"source", "target"} <= edge.keys() for edge in edges):
        raise InputError(": each link must have a source and a target")
    links = [(edge["source"], edge["target"], edge) for edge in edges]
    nodes = _by_name([node["id"] for node in graph["nodes"]], graph["nodes"])
    return nodes, links, bool(graph.get("directed", False))


def _read_edges(data: bytes) -> Parsed:
    """Read a line for each link: two nodes, then whatever; tabs, semicolons, commas or blanks between them.

    Lines of comments begin with # or %. The first line may be one of headings; a further column is called by its
    heading, and else `column 3` and so on.
    """
    rows = []
    for number, line in enumerate(_text(data).splitlines(), 1):
        line = line.strip()
        if line and line[0] not in "#%":
            cells = _cells(line)
            if len(cells) < 2 or not cells[0] or not cells[1]:
                raise InputError(f":{number}: must be two nodes, then whatever, got {one_line(repr(line), 60)}")
            rows.append(cells)
    headings: list[str] = []
    if rows and _is_heading(rows):
        headings, *rows = rows
    as_numbers = all(re.fullmatch(r"[0-9]{1,18}", cell, re.ASCII) for row in rows for cell in row[:2])
    name_of: Callable[[str], Hashable] = int if as_numbers else str
    columns = [*headings, *(f"column {place}" for place in range(len(headings) + 1, 100))][2:]
    links: list[Link] = []
    nodes: dict[Hashable, Values] = {}
    for row in rows:
        source, target = name_of(row[0]), name_of(row[1])
        nodes[source] = nodes[target] = {}
        links.append((source, target, dict(zip(columns, row[2:], strict=False)) if len(row) > 2 else {}))
    return nodes, links, False


def _cells(line: str) -> list[str]:
    """Return what stands in a line, by the first of tabs, semicolons, commas and blanks that it has outside quotes."""
    unquoted = re.sub(r'"[^"]*"', "", line) if '"' in line else line
    separator = next((each for each in "\t;," if each in unquoted), " ")
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
    return line.split() if separator == " " else [cell.strip() for cell in line.split(separator)]


def _is_heading(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row calls the columns: by usual words, or by words where all others are numbers."""
    first, others = rows[0][:2], rows[1:]
    if {cell.lower() for cell in first} <= HEADINGS:
        return True
    is_word = not any(re.match(r"[-+.]?\d", cell) for cell in first)
    return is_word and bool(others) and all(cell.isdecimal() for row in others for cell in row[:2])


READERS: dict[str, Callable[[bytes], Parsed]] = {
    ".gml": _read_gml,
    ".graphml": _read_graphml,
    ".xml": _read_graphml,
    ".json": _read_json,
}
"""How files are read, by how their names end; any other is a list of edges."""
