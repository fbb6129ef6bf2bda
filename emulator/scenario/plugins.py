"""Laws of work and topologies of users, as a scenario says them; their class is found whenever it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import ConfigDict, Field, PrivateAttr, model_serializer, model_validator

from dispatchers.errors import DispatcherError, describe
from emulator.errors import InputError
from emulator.keys import ScenarioError, Section, check_name_or_class, checked
from emulator.model.laws import LAWS, Law
from emulator.model.topologies import TOPOLOGIES, TopologyKind
from emulator.text import show

if TYPE_CHECKING:
    from dispatchers.plugins import Files, Sort
    from dispatchers.user_modules import World
    from emulator.model.topology import AnyTopology

Result = TypeVar("Result")


class Plugin(Section):
    """A class of a user, or a name that an installed package offers; every other key is one of that class."""

    model_config = ConfigDict(extra="allow")

    noun: ClassVar[tuple[str, str]]
    """What one is called, and several."""
    name_key: ClassVar[str]
    """The key that holds a name."""
    parent: ClassVar[type[Section]]
    """What the classes inherit from."""
    built_in: ClassVar[Mapping[str, type[Section]]]
    """Those that come with this software, by name."""

    class_: str | None = Field(default=None, alias="class")
    """`module:Class`, the module beside the scenario or installed."""
    _folder: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_name_or_class(self.name_key, self.name, self.class_)
        if not isinstance(self.name, str | None):
            raise ScenarioError(self.name_key, f"must be text, got {show(self.name)}")
        return self

    def __eq__(self, other: object) -> bool:
        """Return whether both mean the same, whatever defaults are written out."""
        if not isinstance(other, Plugin) or super().__eq__(other):
            return super().__eq__(other)
        return type(self) is type(other) and self._folder == other._folder and self._as_written() == other._as_written()

    def __hash__(self) -> int:
        return hash((self.class_, str(self.name)))

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        """Return the keys with their defaults."""
        said = {"class": self.class_} if self.class_ is not None else {self.name_key: self.name}
        return said | self.made().model_dump(exclude={self.name_key}, exclude_none=True)

    @classmethod
    def takes(cls, value: Any) -> bool:
        """Return whether a value of a scenario asks for a class of a user."""
        if not isinstance(value, dict):
            return False
        name = value.get(cls.name_key)
        if "class" in value or not isinstance(name, str) or name in cls.built_in:
            return "class" in value
        return name in cls.sort().entry_points()

    @classmethod
    def sort(cls) -> Sort:
        """Return how classes are found."""
        from dispatchers.plugins import Sort  # late, for numpy behind it takes its time to import

        noun, nouns = cls.noun
        parent = f"{cls.parent.__module__}.{cls.parent.__name__}"
        return Sort(noun, nouns, cls.parent, parent, f"emulator.{nouns}", cls.built_in)

    @property
    def name(self) -> Any:
        """The name of a built-in class or of one that a package offers."""
        return (self.model_extra or {}).get(self.name_key)

    @property
    def options(self) -> dict[str, Any]:
        """The keys of the class."""
        return {key: value for key, value in (self.model_extra or {}).items() if key != self.name_key}

    def resolved(self, folder: Path) -> Self:
        """Return the same with modules looked up in a folder, its keys checked. Raises `ScenarioError`."""
        plugin = self.looked_up_in(folder)
        plugin.made()
        return plugin

    def looked_up_in(self, folder: Path) -> Self:
        """Return the same with modules looked up in a folder."""
        plugin = self.model_copy()
        plugin._folder = folder
        return plugin

    def found(self) -> tuple[type[Any], World | None]:
        """Return the class and the world of its module, None for a built-in one. Raises `ScenarioError`."""
        if self.name in self.built_in:
            return self.built_in[self.name], None
        try:
            return self.sort().find(self.name, self.class_, self._folder.absolute())
        except DispatcherError as error:
            raise ScenarioError("class" if self.class_ else self.name_key, f"cannot be used: {error}") from None

    def made(self) -> Any:
        """Make the object. Raises `ScenarioError`."""
        class_, world = self.found()
        with world or nullcontext():
            return _guarded(lambda: checked(class_, self.options, untold=self.name_key))

    def ask(self, question: Callable[[Any], Result]) -> Result:
        """Return what the object says, its modules in place. Raises `InputError`, whatever it raises."""
        made, world = self.made(), self.found()[1]
        with world or nullcontext():
            return _guarded(lambda: question(made))

    def files(self) -> Files:
        """Return the files that it depends on."""
        from dispatchers.plugins import files_of
        from dispatchers.user_modules import files_named_in

        named = [(key, path) for key, value in self.options.items() for path in files_named_in(value, self._folder)]
        return files_of(named, self.found()[1])


def _guarded(call: Callable[[], Result]) -> Result:
    try:
        return call()
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise ScenarioError("", f"cannot be used: {describe(error)}") from error


class PluggedLaw(Plugin):
    """A law of work by name or by class, with its keys."""

    noun = "law", "laws"
    name_key = "law"
    parent = Law
    built_in = LAWS

    @classmethod
    def takes(cls, value: Any) -> bool:
        """Return whether a value of a scenario is a mapping, which may name a built-in law, too."""
        return isinstance(value, dict)


class PluggedTopology(Plugin):
    """A topology of a user; takes the place of a `TopologyKind`."""

    noun = "topology", "topologies"
    name_key = "kind"
    parent = TopologyKind
    built_in = TOPOLOGIES

    @property
    def kind(self) -> str:
        """What results call it."""
        return str(self.made().kind)

    def node_count(self) -> int:
        """See `TopologyKind.node_count`."""
        return self.ask(lambda kind: int(kind.node_count()))

    def scheduler_count(self) -> int:
        """See `TopologyKind.scheduler_count`."""
        return self.ask(lambda kind: int(kind.scheduler_count()))

    def server_count(self) -> int:
        """See `TopologyKind.server_count`."""
        return self.ask(lambda kind: int(kind.server_count()))

    def has_nodes(self) -> bool:
        """See `TopologyKind.has_nodes`."""
        return self.ask(lambda kind: bool(kind.has_nodes()))

    def has_own(self) -> bool:
        """See `TopologyKind.has_own`."""
        return self.ask(lambda kind: bool(kind.has_own()))

    @property
    def is_read(self) -> bool:
        """See `TopologyKind.is_read`."""
        return self.ask(lambda kind: bool(kind.is_read))

    @property
    def is_per_replication(self) -> bool:
        """See `TopologyKind.is_per_replication`."""
        return self.ask(lambda kind: bool(kind.is_per_replication))

    def build(self, seed: int) -> AnyTopology:
        """See `TopologyKind.build`; the graph is checked."""
        return self.build_for(seed, 0)

    def build_for(self, seed: int, replication: int) -> AnyTopology:
        """See `TopologyKind.build_for`; the graph is checked."""

        def built(kind: TopologyKind) -> AnyTopology:
            topology = kind.build_for(seed, replication)
            topology.check()
            return topology

        return self.ask(built)
