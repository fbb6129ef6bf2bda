"""A graph in a file, as people have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from emulator.errors import InputError
from emulator.keys import ScenarioError, Section
from emulator.machine.files import lasting_file
from emulator.model.topologies.kind import TopologyKind
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.access import Floats
    from emulator.model.links import Links
    from emulator.model.topology import AnyTopology


def _mean_or_time(missing: Any) -> Any:
    is_time = isinstance(missing, int | float) and not isinstance(missing, bool) and 0 <= missing < 1e300
    if missing is not None and missing != "mean" and not is_time:
        raise ScenarioError("", f"must be mean or a time >= 0 (ms), got {show(missing)}")
    return missing


_MEAN_OR_TIME = WithJsonSchema({"anyOf": [{"const": "mean"}, {"type": "number", "minimum": 0}]})


class FileLatency(Section):
    """How long the links of a file are, ms: by the places of their ends, or as the file says."""

    distance: Annotated[float, Field(gt=0)] | None = None
    """km per ms along the great circle between the coordinates of a link's ends; light in glass makes about 200."""
    key: Annotated[str, Field(min_length=1)] | None = None
    """What the file calls the time that a link takes, ms."""
    missing: Annotated[Any, AfterValidator(_mean_or_time), _MEAN_OR_TIME] = None
    """Of links whose ends have no coordinates: mean, that of the others, or a time, ms; refused if not given."""

    @model_validator(mode="after")
    def _check(self) -> FileLatency:
        if (self.distance is None) == (self.key is None):
            raise ScenarioError("", "needs either distance or key" + (", got both" if self.key else ""))
        if self.missing is not None and self.distance is None:
            raise ScenarioError("missing", "must stand beside distance, but there is none")
        return self


class File(TopologyKind):
    """A graph in a file: GML, GraphML, node-link JSON, or a list of edges in any other."""

    kind: Literal["file"] = "file"
    path: Annotated[str, Field(min_length=1)]
    """The file, relative to the one in which this stands; its name's end says what it is."""
    simplify: bool = False
    """Whether loops are dropped, parallel links merged and nodes renumbered; otherwise they are refused."""
    directed: bool | None = None
    """Whether a scheduler can access the servers that its links lead to, and not those they come from; as the file
    says if not given."""
    latency: FileLatency | None = None
    """How long links are; nobody knows if not given."""
    home: Literal["first", "nearest"] | None = None
    """Of a file whose nodes are schedulers and servers by `bipartite`: which server is a scheduler's own."""

    @property
    def is_read(self) -> bool:
        """See `TopologyKind.is_read`."""
        return True

    def node_count(self) -> int:
        """See `TopologyKind.node_count`; where schedulers and servers are two sets, the larger number."""
        return max(self.scheduler_count(), self.server_count())

    def scheduler_count(self) -> int:
        """See `TopologyKind.scheduler_count`."""
        return self._count(0)

    def server_count(self) -> int:
        """See `TopologyKind.server_count`."""
        return self._count(1)

    def _count(self, side: int) -> int:
        links = self._links()
        return len(links.names) if links.sides is None else int((links.sides == side).sum())

    def has_nodes(self) -> bool:
        """See `TopologyKind.has_nodes`."""
        links = self._links()
        return links.sides is None and not links.is_directed

    def has_own(self) -> bool:
        """See `TopologyKind.has_own`."""
        return self._links().sides is None or self.home is not None

    def _links(self) -> Links:
        from emulator.model.graph_files import read_links

        key = self.latency.key if self.latency is not None else None
        return read_links(self.path, key, is_directed=self.directed)

    def build(self, seed: int) -> AnyTopology:
        """Build the topology, see `topology_of`."""
        from dataclasses import replace
        from pathlib import Path

        from emulator.model.links import topology_of

        links = self._links()
        if self.latency is not None and self.latency.distance is not None:
            lengths = _times(links, self.latency.distance, self.latency.missing, self.path)
            links = replace(links, lengths=lengths)
        return topology_of(links, self.kind, Path(self.path).name, simplify=self.simplify, home=self.home)

    @classmethod
    def sample(cls, generator: np.random.Generator) -> File:
        """See `TopologyKind.sample`: a file of its own in the folder for such, which lasts as long as the process."""
        nodes = int(generator.integers(2, 40))
        pairs = generator.integers(0, nodes, (2 * nodes, 2)).tolist()
        lines = [f"{source}\t{target}" for source, target in pairs]
        return cls(path=lasting_file("\n".join(["# a list of edges", *lines, ""]), "edges.txt"), simplify=True)


def _times(links: Links, pace: float, missing: Any, path: str) -> Floats:
    """Return how long links are by the places of their ends; `pace` in km per ms. Raises `InputError`."""
    import numpy as np

    from emulator.model.places import great_circles, rounded

    nodes = len(links.names)
    places = np.full((nodes, 2), np.nan) if links.places is None else links.places
    times = great_circles(places, links.ends) / pace
    is_missing = np.isnan(times)
    if is_missing.any():
        lost = np.flatnonzero(np.isnan(places).any(axis=1))
        if missing is None:
            raise InputError(
                f"{path}: {len(lost):,} of {nodes:,} nodes have no coordinates, such as {show(links.names[lost[0]])}; "
                "latency.missing: mean, or a time, says how long their links are"
            )
        known = times[~is_missing & (links.ends[:, 0] != links.ends[:, 1])]
        if missing == "mean" and len(known) == 0:
            raise InputError(f"{path}: no link has coordinates at both ends, so there is no mean for the others")
        times[is_missing] = np.mean(known) if missing == "mean" else missing
    return rounded(times)
