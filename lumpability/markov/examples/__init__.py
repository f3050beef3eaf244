"""Chains of known structure, built from parameters, for experiments, tests and teaching.

Each function says where its chain comes from and which lumping is known for it, so that an answer can be
compared with theory, not only with another program.  Most families scale to millions of states.
"""

from lumpability.markov.examples.contrasts import (
    exact_not_ordinary,
    land_of_oz,
    proportional_not_ordinary,
    weak_not_ordinary,
)
from lumpability.markov.examples.planted import nearly_lumpable, planted
from lumpability.markov.examples.populations import components, ehrenfest, moran, sis_epidemic
from lumpability.markov.examples.queues import (
    machine_repair,
    polling,
    queue_at_changing_speed,
    queue_with_servers,
    tandem,
)
from lumpability.markov.examples.walks import (
    cycle_walk,
    hypercube_walk,
    symmetric_birth_death,
    torus_walk,
)

__all__ = [
    "components",
    "cycle_walk",
    "ehrenfest",
    "exact_not_ordinary",
    "hypercube_walk",
    "land_of_oz",
    "machine_repair",
    "moran",
    "nearly_lumpable",
    "planted",
    "polling",
    "proportional_not_ordinary",
    "queue_at_changing_speed",
    "queue_with_servers",
    "sis_epidemic",
    "symmetric_birth_death",
    "tandem",
    "torus_walk",
    "weak_not_ordinary",
]
