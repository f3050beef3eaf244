"""Symbolic proofs of chain lumpings of every kind.

The matrices are built from the chain and the partition, and Q^ is taken from the lumping's quotient; the engine and
the code that made the quotient are not used.  With V[s, C] = 1 iff s in C, D = diag(1/|C|) V^T and
K = diag(kappa):

    ordinary       Q V = V Q^                     in discrete time P V = V P^
    bisimulation   R V = V R^                     R the rates, self-loops included
    exact          D Q = Q^ D
    strict         Q V = V Q^ and D Q = Q^ D
    proportional   K^-1 Q V = V Q^                Q and Q^ generators, kappa > 0

The last identity holds everywhere if it holds outside blocks, because rows of both sides sum to zero.
"""

from __future__ import annotations

from typing import Any

from lumpability.certificate.kinds import KINDS, ClaimedKind
from lumpability.errors import InvalidInput, NotJustified, SizeLimit
from lumpability.markov.attributes import block_name
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.lumping import Lumping
from lumpability.numbers.parameters import to_expression
from lumpability.partition import Partition
from lumpability.symbolic.matrices import compare, matrix_of, signs
from lumpability.symbolic.proof import Consequence, Identity, Proof

MOST_STATES = 200
"""Largest number of states of a chain whose matrix is written out, by default."""


def prove_chain(lumping: Lumping, *, largest: int = MOST_STATES) -> Proof:
    """Prove the identity of a chain lumping with symbolic matrices.

    Raises `SizeLimit` if the chain is larger; carries ``size`` and ``limit``.  Raises `InvalidInput` if the
    parts of the lumping do not fit each other.

    - lumping: its ``chain``, ``partition``, ``kind``, ``kappa`` and ``quotient`` are used
    - largest: largest number of states

    O(m k) operations for m transitions and k blocks, dense in the worst case: some seconds for 200 states.
    """
    chain, partition = lumping.chain, lumping.partition
    if chain.n > largest:
        raise SizeLimit(
            f"the chain has {chain.n} states, more than the {largest} that are written out as a matrix: raise "
            "largest, or verify the certificate, which has no limit",
            size=chain.n,
            limit=largest,
        )
    if (partition.n, lumping.quotient.n) != (chain.n, len(partition)):
        raise InvalidInput(
            f"the partition has {partition.n} states in {len(partition)} blocks, the chain {chain.n} states "
            f"and the quotient {lumping.quotient.n}"
        )
    if lumping.kind not in KINDS:
        raise NotJustified(
            f"proofs are written for the kinds {', '.join(KINDS)}: {lumping.kind!r} is your own"
        )
    kind, continuous = KINDS[lumping.kind], isinstance(chain, CTMC)
    name = ("R" if kind.keeps_jumps else "Q") if continuous else "P"
    matrices = {
        name: _balance(chain, rates=name == "R"),
        "V": _indicator(partition),
        f"{name}^": _balance(lumping.quotient, rates=name == "R"),
    }
    objections: list[str] = []
    conditions = _weights(chain)
    if kind.incoming:
        matrices["D"] = _spreading(partition)
    if kind.scaled:
        matrices["K"], doubts = _speeds(lumping, objections)
        conditions += [one for one in doubts if one not in conditions]
    states = [str(state) for state in chain.states]
    blocks = [block_name(chain.states, partition, block) for block in range(len(partition))]
    identities = _identities(kind, name, matrices, states, blocks)
    return Proof(
        title=f"{type(chain).__name__}, {kind.name} lumping of {chain.n} states in {len(partition)} blocks",
        matrices=matrices,
        identities=tuple(identities),
        assumptions=(*_parameters(chain), *conditions),
        objections=tuple(objections),
        consequences=_consequences(kind, chain.time),
        legend=f"states {', '.join(states)}; blocks {', '.join(blocks)}",
    )


def _balance(chain: MarkovChain, *, rates: bool) -> Any:
    """Return the rates, the stochastic matrix, or the generator with its diagonal from the rates."""
    rows: list[list[Any]] = [[0] * chain.n for _ in range(chain.n)]
    generator = isinstance(chain, CTMC) and not rates
    for state, row in enumerate(rows):
        for target, weight in chain.matrix.row(state):
            if not (generator and target == state):
                row[target] = to_expression(weight)
        if generator:
            row[state] = -sum(row)
    return matrix_of(rows, (chain.n, chain.n))


def _indicator(partition: Partition) -> Any:
    labels = partition.labels.tolist()
    blocks = range(len(partition))
    rows = [[int(label == block) for block in blocks] for label in labels]
    return matrix_of(rows, (partition.n, len(partition)))


def _spreading(partition: Partition) -> Any:
    import sympy

    sizes = partition.blocks.sizes.tolist()
    return (
        sympy.diag(*[sympy.Rational(1, size) for size in sizes]) * _indicator(partition).T
    ).as_immutable()


def _speeds(lumping: Lumping, objections: list[str]) -> tuple[Any, list[Any]]:
    """Return K, and the conditions kappa > 0 that are not evident; add the false ones to `objections`."""
    import sympy

    chain, kappa = lumping.chain, lumping.factors
    if kappa is None or len(kappa) != chain.n:
        raise InvalidInput(f"a proportional lumping of {chain.n} states has as many factors kappa")
    factors = [to_expression(factor) for factor in kappa]
    false, undecided = signs(factors, zero=False)
    objections += [
        f"kappa of state {state} is {factor}, not positive"
        for state, factor in zip(chain.states, factors, strict=True)
        if factor in false
    ]
    return sympy.diag(*factors).as_immutable(), undecided


def _inverse(diagonal: Any) -> Any:
    """Return the inverse of a diagonal matrix, None if it has none."""
    import sympy

    entries = [diagonal[i, i] for i in range(diagonal.shape[0])]
    return None if 0 in entries else sympy.diag(*(1 / x for x in entries)).as_immutable()


def _weights(chain: MarkovChain) -> list[Any]:
    """Return the assumptions under which rates or probabilities are not negative."""
    return signs((to_expression(weight) for weight in chain.matrix.weights.values), zero=True)[1]


def _parameters(chain: MarkovChain) -> list[Any]:
    import sympy

    return [sympy.Gt(parameter, 0, evaluate=False) for parameter in chain.parameters]


def _identities(
    kind: ClaimedKind, name: str, matrices: dict[str, Any], states: list[str], blocks: list[str]
) -> list[Identity]:
    matrix, v, quotient = matrices[name], matrices["V"], matrices[f"{name}^"]
    found = []
    if kind.scaled:
        text = f"K^-1 {name} V = V {name}^"
        slower = _inverse(matrices["K"])
        if slower is not None:
            found.append(compare(text, [slower, matrix, v], [v, quotient], states, blocks))
    elif kind.outgoing:
        found.append(compare(f"{name} V = V {name}^", [matrix, v], [v, quotient], states, blocks))
    if "D" in matrices:
        d = matrices["D"]
        found.append(compare(f"D {name} = {name}^ D", [d, matrix], [quotient, d], blocks, states))
    return found


_WEIGHTED = Consequence(
    "pi Q = 0", "(pi K V) Q^ = pi Q V = 0", "stationary masses weighted with kappa"
)
_EXITS = Consequence("e = R 1", "e = R V 1 = V (R^ 1)", "exit rates")
_STEPS, _STARTS = "block probabilities, step by step, every start", "uniform start in blocks"
_OUTGOING = {
    "continuous": (
        Consequence("p' = p Q", "(p V)' = p Q V = (p V) Q^", "block probabilities, every start"),
        Consequence("pi Q = 0", "(pi V) Q^ = pi Q V = 0", "stationary block masses"),
    ),
    "discrete": (
        Consequence("q = p P", "q V = p P V = (p V) P^", _STEPS),
        Consequence("pi P = pi", "(pi V) P^ = pi P V = pi V", "stationary block masses"),
    ),
}
_STATES = "stationary probabilities of states"
_INCOMING = {
    "continuous": (
        Consequence("p^' = p^ Q^", "(p^ D)' = p^ Q^ D = (p^ D) Q", f"states, {_STARTS}"),
        Consequence("pi^ Q^ = 0", "(pi^ D) Q = pi^ Q^ D = 0", _STATES),
    ),
    "discrete": (
        Consequence("q^ = p^ P^", "q^ D = p^ P^ D = (p^ D) P", f"states, step by step, {_STARTS}"),
        Consequence("pi^ P^ = pi^", "(pi^ D) P = pi^ P^ D = pi^ D", _STATES),
    ),
}


def _consequences(kind: ClaimedKind, time: str) -> tuple[Consequence, ...]:
    if kind.scaled:
        return (_WEIGHTED,)
    return (
        *((_EXITS,) if kind.keeps_jumps and time == "continuous" else ()),
        *(_OUTGOING[time] if kind.outgoing else ()),
        *(_INCOMING[time] if kind.incoming else ()),
    )
