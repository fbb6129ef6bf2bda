"""OWN and RND of section 2.2: rules that look at no queue."""

from __future__ import annotations

from dispatchers.contract import Dispatcher
from dispatchers.view import Floats, View


class SendToOwn(Dispatcher):
    """Keep every job at the own server."""

    name = "OWN"
    information = ()

    def route(self, view: View) -> Floats:
        """See `Dispatcher.route`."""
        return view.own()


class Random(Dispatcher):
    """Send each job to a uniformly random accessible server, the own one included."""

    name = "RND"
    information = ()

    def route(self, view: View) -> Floats:
        """See `Dispatcher.route`."""
        return view.uniform()
