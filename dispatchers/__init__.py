"""Dispatchers: the contract with an engine, the rules of the paper and others, and how scenarios find them."""

from dispatchers.checking import check_dispatcher
from dispatchers.contract import Dispatcher, JobView, PerJobDispatcher, RecurrentDispatcher, View
from dispatchers.errors import DispatcherError

__all__ = [
    "Dispatcher",
    "DispatcherError",
    "JobView",
    "PerJobDispatcher",
    "RecurrentDispatcher",
    "View",
    "check_dispatcher",
]
