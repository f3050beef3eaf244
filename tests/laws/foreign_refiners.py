"""Other programs as refiners: a structure and an initial partition in, their partition out.

Each takes structures whose weights are not negative.
"""

from __future__ import annotations

import json
import os
import subprocess
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability import CTMC, Partition
from lumpability.structure import WeightedStructure


def storm(structure: WeightedStructure, within: Partition) -> list[int]:
    """Storm's strong bisimulation in double precision, through stormpy.

    The quotient does not tell which states went into which block.  So it is asked once for each state, with
    that state as the initial one, which the quotient does tell.
    """
    from stormpy.transformations import BisimulationType, perform_bisimulation

    from lumpability.formats.storm import to_stormpy

    labels = {f"block{i}": block for i, block in enumerate(within.blocks)}
    blocks = []
    for state in range(structure.n):
        chain = CTMC(structure, labels=labels, initial=state)
        quotient = perform_bisimulation(
            to_stormpy(chain, exact=False), None, bisimulation_type=BisimulationType.STRONG
        )
        blocks.append(int(quotient.initial_states[0]))
    return blocks


def networkx_snap(structure: WeightedStructure, within: Partition) -> list[Any]:
    """Summarise a graph with networkx: nodes of a group have edges of the same types to the same groups.

    networkx has no lumping of weighted graphs; `snap_aggregation` is what comes nearest.  Types of edges are
    their weights.
    """
    import networkx as nx

    graph = nx.DiGraph()
    for state in range(structure.n):
        graph.add_node(state, block=int(within.labels[state]))
    for state in range(structure.n):
        for target, weight in structure.row(state):
            graph.add_edge(state, target, weight=str(weight))
    summary = nx.snap_aggregation(graph, node_attributes=("block",), edge_attributes=("weight",))
    return [group for _, group in summary.nodes(data="group")]


class PyDTMC:
    """PyDTMC's list of lumpable partitions, of which the coarsest that refines the start is taken.

    It wants NumPy 1, so it runs in an interpreter of its own: that of the environment variable
    LUMPABILITY_PYDTMC.  It takes stochastic matrices, so weights are divided by a large number, and what is
    missing in a row leads to one more state, which is apart from the others.
    """

    WORKER = (
        "import json, sys\n"
        "import numpy as np\n"
        "from pydtmc import MarkovChain\n"
        "for line in sys.stdin:\n"
        "    found = MarkovChain(np.array(json.loads(line))).lumping_partitions\n"
        "    print(json.dumps([[[int(s) for s in b] for b in p] for p in found]), flush=True)\n"
    )

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [os.environ["LUMPABILITY_PYDTMC"], "-c", self.WORKER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def lumpings(self, matrix: Any) -> list[list[list[int]]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(matrix) + "\n")
        self.process.stdin.flush()
        found: list[list[list[int]]] = json.loads(self.process.stdout.readline())
        return found

    def __call__(self, structure: WeightedStructure, within: Partition) -> Any:
        n = structure.n
        total = max([*structure.row_sums(), Fraction(1)])
        rows = [[0.0] * (n + 1) for _ in range(n + 1)]
        for state in range(n):
            left = Fraction(1)
            for target, weight in structure.row(state):
                rows[state][target] = float(weight / total)
                left -= weight / total
            rows[state][n] = float(left)
        rows[n][n] = 1.0
        found = [Partition.of(blocks, states=n + 1) for blocks in self.lumpings(rows)]
        start = Partition(np.append(within.labels, len(within)))
        # The trivial ones are not in its list.
        found = [*found, Partition.trivial(n + 1), Partition.discrete(n + 1)]
        best = min((one for one in found if one.refines(start)), key=len)
        return best.restrict(range(n))

    def close(self) -> None:
        self.process.communicate()
