"""How many tasks a second one producer hands over, one by one and in one call for all."""

from __future__ import annotations

from bench.servers import Servers
from bench.setup import prepared
from bench.variants import Blueprint, Peer, Variant


def measure(variant: Variant, servers: Servers, tasks: int) -> dict[str, float]:
    """Tasks a second of `delay()`, or what stands for it, and of a batch where there is one."""
    with prepared(variant, servers) as setup:
        if isinstance(variant, Peer):
            return {"delay": tasks / float(setup.run("bench.peers", variant.name, str(tasks)))}
        found = {"delay": tasks / float(setup.run("bench.enqueue", "delay", str(tasks)))}
        if isinstance(variant, Blueprint):
            found["batch"] = tasks / float(setup.run("bench.enqueue", "batch", str(tasks)))
        return found
