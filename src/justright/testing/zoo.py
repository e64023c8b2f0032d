"""The zoo: small networks that train, and small networks that do not, each with the fault it must be given.

A diagnosis is worth what its false alarms leave of it. Every diagnostic is held against all of these: it must name the
fault of the sick ones and stay silent on the healthy ones. ``docs/zoo.md`` shows how each of them trains.

Examples
--------
>>> from justright.testing import zoo
>>> network = zoo.NETWORKS["mlp/sigmoid-20"]
>>> network.fault, network.note
('JR103', '20 layers of sigmoids under default weights')
"""

from __future__ import annotations

from justright.adapters.networks import NETWORKS, Network

__all__ = ["NETWORKS", "Network", "healthy", "sick"]


def healthy() -> tuple[Network, ...]:
    """Return the networks that train, in the order of their names, as far as their packages are installed."""
    return tuple(network for network in NETWORKS.values() if network.healthy and network.available)


def sick(fault: str | None = None) -> tuple[Network, ...]:
    """Return the networks that do not train, or those with one fault.

    Parameters
    ----------
    fault
        Code of a diagnostic, ``"JR103"``; all, by default.
    """
    found = (network for network in NETWORKS.values() if not network.healthy and network.available)
    return tuple(network for network in found if fault in {None, network.fault})
