"""Memory that the walk will need soon: a cache is asked for it, so that it is there when its turn comes.

What happens next is known beforehand, but it concerns schedulers in an order that no cache foresees. Under JSQ at
random phases: 1.25 times as fast at 4,900 nodes, 1.4 times at 99,856. Nothing else is changed.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from emulator.engines.compiled.deciding import INLINED

FAR, NEAR = 8, 4
"""So many events ahead the scheduler of a job is fetched, and what that points to."""


@intrinsic
def fetch(typing_context: Any, array: Any, place: Any) -> Any:
    """Ask for the memory of `array[place]`, whose place is not negative; it will be read and written."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, index = signature.args
        there = context.make_array(kind)(context, builder, arguments[0])
        place = context.cast(builder, arguments[1], index, types.intp)
        item = cgutils.get_item_pointer(context, builder, kind, there, [place], wraparound=False)
        item = builder.bitcast(item, cgutils.voidptr_t)
        word = ir.IntType(32)
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [item.type], ir.FunctionType(ir.VoidType(), [item.type, word, word, word])
        )
        for_writing, kept_close, data = word(1), word(3), word(1)
        builder.call(prefetch, [item, for_writing, kept_close, data])
        return context.get_dummy_value()

    return types.void(array, place), generate


@njit(**INLINED)
def fetch_for_jobs(world, jobs, job):  # type: ignore[no-untyped-def]
    """Fetch what jobs after this one will meet: their schedulers, and what these know."""
    if job + FAR < len(jobs.scheduler):
        fetch(world.schedulers, jobs.scheduler[job + FAR])
        scheduler = jobs.scheduler[job + NEAR]
        first, last = world.first[scheduler], world.stop[scheduler] - 1
        fetch(world.known, first)
        fetch(world.known, last)
        if len(world.sent_ever) > 0:
            fetch(world.order, first)
            fetch(world.sent, first)


@njit(**INLINED)
def fetch_for_deliveries(world, events, delivery):  # type: ignore[no-untyped-def]
    """Fetch what a delivery after this one will meet."""
    if delivery + FAR < len(events.entry):
        fetch(world.schedulers, events.scheduler[delivery + FAR])
        if events.entry[delivery + FAR] >= 0:
            fetch(world.known, events.entry[delivery + FAR])
        fetch(events.lengths, events.place[delivery + FAR])


@njit(**INLINED)
def fetch_for_samples(world, settings, events, sample):  # type: ignore[no-untyped-def]
    """Fetch what samples after this one will meet: their servers, and, where they are heard at once, who hears."""
    if sample + NEAR >= len(events.sampled) or settings.is_poll:
        return
    fetch(world.queues, events.sampled[sample + NEAR])
    if settings.is_instant:
        server = events.sampled[sample + 1]
        for seen in range(world.seen_offsets[server], world.seen_offsets[server + 1]):
            fetch(world.schedulers, world.receivers[seen])
            fetch(world.known, world.entries[seen])
