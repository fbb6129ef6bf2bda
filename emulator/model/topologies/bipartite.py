"""Schedulers and servers as two sets, in which each scheduler has drawn its servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from emulator.keys import ScenarioError
from emulator.model.topologies.kind import ENTRY_LIMIT, NODE_LIMIT, RandomKind
from emulator.text import show

if TYPE_CHECKING:
    import numpy as np

    from emulator.model.topology import AccessLists


def _listed(choices: Any) -> Any:
    if isinstance(choices, int) and not isinstance(choices, bool):
        return [choices]
    if not isinstance(choices, list):
        raise ScenarioError("", f"must be a whole number, or a list of them, got {show(choices)}")
    return choices


_CHOICE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": NODE_LIMIT}
_CHOICES = WithJsonSchema({"anyOf": [_CHOICE, {"type": "array", "items": _CHOICE, "minItems": 1}]})


class Bipartite(RandomKind):
    """Schedulers and servers as two sets: each scheduler can access servers drawn at random, no one twice."""

    kind: Literal["bipartite"] = "bipartite"
    schedulers: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """How many schedulers."""
    servers: Annotated[int, Field(ge=1, le=NODE_LIMIT)]
    """How many servers."""
    choices: Annotated[
        list[Annotated[int, Field(ge=1, le=NODE_LIMIT)]], Field(min_length=1), BeforeValidator(_listed), _CHOICES
    ]
    """How many servers a scheduler can access, or a list from which each scheduler draws how many, all equally
    likely."""
    balanced: bool = True
    """Whether all servers are chosen equally often, up to one; otherwise each scheduler draws from all of them."""
    home: Literal["first"] | None = None
    """first: the first server that a scheduler has drawn is its own; there are no own servers if not given."""

    @model_validator(mode="after")
    def _check(self) -> Bipartite:
        if max(self.choices) > self.servers:
            raise ScenarioError("choices", f"must be at most the {self.servers} servers, got {max(self.choices)}")
        if self.schedulers * max(self.choices) > ENTRY_LIMIT:
            raise ScenarioError("choices", f"times schedulers must be at most {ENTRY_LIMIT}")
        return self

    def node_count(self) -> int:
        """Return the larger one of the two numbers."""
        return max(self.schedulers, self.servers)

    def scheduler_count(self) -> int:
        """See `TopologyKind.scheduler_count`."""
        return self.schedulers

    def server_count(self) -> int:
        """See `TopologyKind.server_count`."""
        return self.servers

    def has_nodes(self) -> bool:
        """See `TopologyKind.has_nodes`."""
        return False

    def has_own(self) -> bool:
        """See `TopologyKind.has_own`."""
        return self.home is not None

    def build(self, seed: int) -> AccessLists:
        """Build the lists, see `drawn_choices`; a scheduler's servers stand in random order."""
        from emulator.model.choosing import drawn_choices
        from emulator.model.topology import AccessLists

        own = seed if self.seed is None else self.seed
        access = drawn_choices(self.schedulers, self.servers, self.choices, own, balanced=self.balanced)
        return AccessLists(self.kind, access if self.home is None else access.with_home(self.home))

    @classmethod
    def sample(cls, generator: np.random.Generator) -> Bipartite:
        """See `TopologyKind.sample`."""
        schedulers, servers = generator.integers(1, 60, 2).tolist()
        choices = generator.integers(1, servers + 1, int(generator.integers(1, 3))).tolist()
        home: Literal["first"] | None = "first" if generator.random() < 0.3 else None
        balanced = bool(generator.random() < 0.6)
        return cls(schedulers=schedulers, servers=servers, choices=choices, balanced=balanced, home=home)
