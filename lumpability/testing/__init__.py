"""A public test kit: strategies, laws and assertions for lumping of every kind, yours or ours.

Strategies draw models and shrink them to the smallest that fails; laws are theorems that any implementation must
satisfy; assertions say in words what is wrong.  The library's own tests use it too.  See the guide
"Test your own reduction".
"""

from lumpability.errors import require

require("hypothesis", extra="test")

# Imported after the check above, so that without Hypothesis one line says what to install.
from lumpability.testing.assertions import (  # noqa: E402
    assert_lumpable,
    assert_quotient_correct,
    assert_same_function,
    assert_same_partition,
)
from lumpability.testing.laws import (  # noqa: E402
    LAWS,
    Law,
    LawBroken,
    check_refiner,
    parametrize_with_laws,
)
from lumpability.testing.strategies import (  # noqa: E402
    ctmcs,
    dtmcs,
    labelled,
    lumpable_chains,
    lumpable_networks,
    near_lumpable_chains,
    networks,
    not_lumpable_chains,
    parametric_chains,
    partitions,
    permutations_of,
    rationals,
    structures,
)

__all__ = [
    "LAWS",
    "Law",
    "LawBroken",
    "assert_lumpable",
    "assert_quotient_correct",
    "assert_same_function",
    "assert_same_partition",
    "check_refiner",
    "ctmcs",
    "dtmcs",
    "labelled",
    "lumpable_chains",
    "lumpable_networks",
    "near_lumpable_chains",
    "networks",
    "not_lumpable_chains",
    "parametric_chains",
    "parametrize_with_laws",
    "partitions",
    "permutations_of",
    "rationals",
    "structures",
]
