"""PyDTMC's search for lumpings, run by an interpreter that has it.

It tries the 2^(n-1) partitions of the states into ranges of consecutive ones, and compares floats.

A stochastic matrix comes in as JSON on standard input, with a partition that must be among those found.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from pydtmc import MarkovChain


def main() -> None:
    given = json.load(sys.stdin)
    chain = MarkovChain(np.array(given["matrix"]))
    started = time.perf_counter()
    found = chain.lumping_partitions
    taken = time.perf_counter() - started
    lumpings = [sorted(sorted(int(state) for state in block) for block in one) for one in found]
    print(
        json.dumps({"pydtmc": taken, "lumpings": len(found), "has_ours": given["ours"] in lumpings})
    )


if __name__ == "__main__":
    main()
