"""`prove` and `export` for lumpings of chains and networks; an export uses the certificate."""

from __future__ import annotations

from lumpability.certificate.export import write_statement
from lumpability.certificate.export.statement import IntegerStatement
from lumpability.errors import InvalidInput
from lumpability.markov.lumping import Lumping
from lumpability.networks.lumping import NetworkLumping
from lumpability.symbolic.chains import MOST_STATES, prove_chain
from lumpability.symbolic.functions import MOST_OPERATIONS
from lumpability.symbolic.layers import prove_network
from lumpability.symbolic.proof import Proof


def prove(lumping: Lumping | NetworkLumping, *, largest: int | None = None) -> Proof:
    """Prove a lumping with symbolic matrices, or show what is wrong with it.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
        Matrices are built from its model and its partition, and its quotient is checked.
    largest : int, optional
        Largest number of states of a chain (`lumpability.symbolic.chains.MOST_STATES`, 200, by default),
        or of multiplications of a network (`lumpability.symbolic.functions.MOST_OPERATIONS`, 20,000).

    Returns
    -------
    Proof
        Falsy if the lumping is wrong; it then shows the entries that differ.

    Raises
    ------
    SizeLimit
        If the model is larger; carries ``size`` and ``limit``.
    InvalidInput
        If this is not a lumping, or its parts do not fit each other.
    NotJustified
        If a layer of a network has no symbolic form.

    Examples
    --------
    >>> from lumpability import CTMC, Network, lump
    >>> chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "x", ("c", "a"): "y"}, labels={"c": ["c"]})
    >>> proof = prove(lump(chain))
    >>> print(proof)
    proved: Q V = V Q^ for all x > 0, y > 0
    >>> proof.matrices["Q^"]
    Matrix([
    [-x,  x],
    [ y, -y]])
    >>> twins = Network.dense([([[1, 2]], [1, 2], "relu"), ([[3], [4]], None, None)])
    >>> print(prove(lump(twins)))
    proved: A_0 W_1 = W^_1 A_1; A_1 W_2 = W^_2 A_2; the output is the same expression, using relu(2*x) = 2*relu(x)
    """
    if isinstance(lumping, Lumping):
        return prove_chain(lumping, largest=MOST_STATES if largest is None else largest)
    if isinstance(lumping, NetworkLumping):
        return prove_network(lumping, largest=MOST_OPERATIONS if largest is None else largest)
    raise InvalidInput(f"a {type(lumping).__name__} is not a lumping: give what lump returns")


def statement_of(lumping: Lumping | NetworkLumping) -> IntegerStatement:
    """Return the claim of a lumping as identities between integer matrices, after verifying its certificate.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping

    Raises
    ------
    InvalidInput
        If it is neither, or its certificate does not hold.
    SizeLimit
        If a matrix has too many rows or columns for a proof assistant.
    NotJustified
        If the model has parameters, or the claim is more than identities of matrices.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> statement = statement_of(lump(chain))
    >>> statement.title, statement.labels
    ('CTMC, ordinary lumping: Q V = V Q^', (0, 1, 0))
    """
    if isinstance(lumping, Lumping):
        return lumping.certificate().statement(lumping.chain)
    if isinstance(lumping, NetworkLumping):
        return lumping.certificate().statement()
    raise InvalidInput(f"a {type(lumping).__name__} is not a lumping: give what lump returns")


def export(lumping: Lumping | NetworkLumping, language: str = "coq") -> str:
    """Return the text of a file in which a proof assistant proves a lumping.

    Parameters
    ----------
    lumping : Lumping or NetworkLumping
    language : {"coq"}

    Raises
    ------
    InvalidInput, SizeLimit, NotJustified
        As `statement_of`; or for another language.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): 1, ("b", "c"): 1, ("c", "a"): 2}, labels={"goal": ["c"]})
    >>> print(export(lump(chain)))
    (* CTMC, ordinary lumping: Q V = V Q^
    ...
    Theorem Q_V_is_V_Qhat : forall s C, (s < n)%nat -> (C < m)%nat ->
      sum_in C labels (row Q s) = entry Qhat (block s) C.
    ...
    """
    return write_statement(statement_of(lumping), language)
