"""Dispatchers: the contract with an engine, the rules of the paper and others, and how scenarios find them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dispatchers.checking import check_dispatcher
    from dispatchers.contract import (
        Dispatcher,
        JobView,
        LeastCostDispatcher,
        PerJobDispatcher,
        RecurrentDispatcher,
    )
    from dispatchers.errors import DispatcherError
    from dispatchers.view import View

__all__ = [
    "Dispatcher",
    "DispatcherError",
    "JobView",
    "LeastCostDispatcher",
    "PerJobDispatcher",
    "RecurrentDispatcher",
    "View",
    "check_dispatcher",
]

_HOMES = {"DispatcherError": "errors", "View": "view", "check_dispatcher": "checking"}


def __getattr__(name: str) -> Any:
    # Imported late: who only wants an error's text must not wait for numpy.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dispatchers.{_HOMES.get(name, 'contract')}"), name)
