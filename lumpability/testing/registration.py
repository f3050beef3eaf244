"""Registration with Hypothesis: how to draw the classes of the library.

An entry point of the package names `register`, so that ``hypothesis.strategies.from_type(CTMC)``, and tests whose
arguments are annotated with these classes, work once the library is installed.
"""

from __future__ import annotations


def register() -> None:
    """Tell Hypothesis how to draw CTMCs, DTMCs, networks, partitions and structures.

    >>> from hypothesis import find, strategies
    >>> from lumpability import CTMC
    >>> register()
    >>> find(strategies.from_type(CTMC), lambda chain: chain.n > 1)
    CTMC(2 states, 0 transitions)
    """
    from hypothesis.strategies import register_type_strategy

    from lumpability.markov.chains import CTMC, DTMC
    from lumpability.networks.network import Network
    from lumpability.partition import Partition
    from lumpability.structure import WeightedStructure
    from lumpability.testing import strategies

    register_type_strategy(CTMC, strategies.labelled(strategies.ctmcs()))
    register_type_strategy(DTMC, strategies.labelled(strategies.dtmcs()))
    register_type_strategy(Network, strategies.networks())
    register_type_strategy(Partition, strategies.partitions())
    register_type_strategy(WeightedStructure, strategies.structures())
