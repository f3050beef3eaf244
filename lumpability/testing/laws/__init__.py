"""Laws: the theorems of lumping as named checks over any implementation, yours or ours."""

from lumpability.testing.laws.certifying import CERTIFIER_LAWS, NETWORK_CERTIFIER_LAWS
from lumpability.testing.laws.checking import (
    LAWS,
    check_refiner,
    laws_as_table,
    parametrize_with_laws,
)
from lumpability.testing.laws.law import Law, LawBroken
from lumpability.testing.laws.lumping import LUMPER_LAWS
from lumpability.testing.laws.merging import NETWORK_LAWS
from lumpability.testing.laws.refining import REFINER_LAWS

__all__ = [
    "CERTIFIER_LAWS",
    "LAWS",
    "LUMPER_LAWS",
    "NETWORK_CERTIFIER_LAWS",
    "NETWORK_LAWS",
    "REFINER_LAWS",
    "Law",
    "LawBroken",
    "check_refiner",
    "laws_as_table",
    "parametrize_with_laws",
]
