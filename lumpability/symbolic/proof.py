"""A proof to be read: matrices, the identities between them, their consequences, and the assumptions.

An identity is given by both of its sides, multiplied out, and their difference.  Entries are elements of the
field of rational functions of the parameters, where every element has one normal form: a difference is zero
exactly when it prints as 0.  Printing is for papers and slides: LaTeX for amsmath, Unicode for terminals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lumpability.numbers.latex import escaped, formula, latex_of
from lumpability.symbolic.functions import SameFunction

_SHOWN = 12
"""Largest number of rows of a matrix that a notebook shows by itself."""
_LISTED = 5


@dataclass(frozen=True, eq=False)
class Identity:
    """An equation between two matrices.

    Attributes
    ----------
    text : str
        Such as "Q V = V Q^".
    left, right : sympy.ImmutableDenseMatrix, shape (rows, columns)
        The products on both sides.
    difference : sympy.ImmutableDenseMatrix
        left - right, in normal form.
    rows, columns : tuple of str
        Names of rows and columns: states, blocks, units, classes.

    Examples
    --------
    >>> from sympy import ImmutableMatrix
    >>> one, two = ImmutableMatrix([[1, 2]]), ImmutableMatrix([[1, 3]])
    >>> print(Identity("Q V = V Q^", one, two, one - two, ("a",), ("{a}", "{b}")))
    Q V = V Q^ fails in (a, {b}): 2 against 3
    """

    text: str
    left: Any
    right: Any
    difference: Any
    rows: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every entry of the difference is zero."""
        return not self.failures

    @cached_property
    def failures(self) -> list[tuple[int, int, Any]]:
        """Non-zero entries of the difference: row, column, value."""
        rows, columns = self.difference.shape
        return [
            (i, j, self.difference[i, j])
            for i in range(rows)
            for j in range(columns)
            if self.difference[i, j] != 0
        ]

    def __str__(self) -> str:
        if self.holds:
            return self.text
        shown = [
            f"({self.rows[i]}, {self.columns[j]}): {self.left[i, j]} against {self.right[i, j]}"
            for i, j, _ in self.failures[:_LISTED]
        ]
        more = len(self.failures) - len(shown)
        rest = f" and in {more} more" if more else ""
        return f"{self.text} fails in {'; '.join(shown)}{rest}"


@dataclass(frozen=True)
class Consequence:
    r"""A consequence of the identities.

    Attributes
    ----------
    assumed : str
        Such as "p' = p Q".
    steps : str
        Such as "(p V)' = p Q V = (p V) Q^".
    meaning : str

    Examples
    --------
    >>> print(Consequence("pi Q = 0", "(pi V) Q^ = pi Q V = 0", "stationary block masses").latex)
    \pi Q = 0 \;\Longrightarrow\; (\pi V) \hat{Q} = \pi Q V = 0
    """

    assumed: str
    steps: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.assumed}  =>  {self.steps}   ({self.meaning})"

    @property
    def latex(self) -> str:
        """The implication in LaTeX."""
        return rf"{formula(self.assumed)} \;\Longrightarrow\; {formula(self.steps)}"


@dataclass(frozen=True, eq=False, repr=False)
class Proof:
    """A symbolic proof of a lumping; falsy if it fails, with the reasons.

    Attributes
    ----------
    title : str
    matrices : dict of str to sympy.ImmutableDenseMatrix
        By name: "Q", "V", "Q^", ...; see `lumpability.symbolic.prove`.
    identities : tuple of Identity
    assumptions : tuple of sympy relations
        The assumptions on parameters; empty for numbers.
    objections : tuple of str
        Other conditions that fail, such as a factor that is not positive.
    consequences : tuple of Consequence
        What the identities imply.
    function : SameFunction or None
        For networks: both output expressions.
    legend : str
        The names of rows and columns, in order.

    Examples
    --------
    >>> from lumpability import CTMC, lump
    >>> chain = CTMC.from_rates({("a", "c"): "x", ("b", "c"): "x", ("c", "a"): "y"}, labels={"c": ["c"]})
    >>> from lumpability.symbolic import prove
    >>> proof = prove(lump(chain))
    >>> proof
    Proof(CTMC, ordinary lumping: Q V = V Q^ for all x > 0, y > 0)
    >>> print(proof.pretty())
    CTMC, ordinary lumping of 3 states in 2 blocks
    states a, c, b; blocks {a, b}, {c}
    <BLANKLINE>
        ⎡-x  x   0 ⎤
        ⎢          ⎥
    Q = ⎢y   -y  0 ⎥
        ⎢          ⎥
        ⎣0   x   -x⎦
    ...
    Q V - V Q^ = 0
    <BLANKLINE>
    for all x > 0, y > 0
    ...
    """

    title: str
    matrices: dict[str, Any]
    identities: tuple[Identity, ...]
    assumptions: tuple[Any, ...] = ()
    objections: tuple[str, ...] = ()
    consequences: tuple[Consequence, ...] = ()
    function: SameFunction | None = None
    legend: str = ""

    @property
    def holds(self) -> bool:
        """Whether everything that the lumping needs was proved."""
        return not self.objections and all(identity.holds for identity in self.identities)

    def __bool__(self) -> bool:
        return self.holds

    @property
    def under(self) -> str:
        """The assumptions in words: "for all x > 0, y > 0"; empty if there are none."""
        return f"for all {', '.join(map(str, self.assumptions))}" if self.assumptions else ""

    def __str__(self) -> str:
        return f"{'proved' if self.holds else 'not proved'}: {self._told()}"

    def __repr__(self) -> str:
        kind = self.title.partition(" of ")[0]
        return f"Proof({kind}{'' if self.holds else ', failed'}: {self._told()})"

    def _told(self) -> str:
        """Return what was proved, or everything that is wrong."""
        if not self.holds:
            wrong = [str(identity) for identity in self.identities if not identity.holds]
            return "; ".join([*wrong, *self.objections])
        facts = [identity.text for identity in self.identities]
        if self.function is not None:
            facts.append(str(self.function))
        return f"{'; '.join(facts)} {self.under}".rstrip()

    def pretty(self) -> str:
        """Return the proof as Unicode text, matrices drawn with brackets."""
        parts = [f"{self.title}\n{self.legend}".rstrip()]
        parts += [_named(name, matrix) for name, matrix in self.matrices.items()]
        for identity in self.identities:
            if identity.holds:
                parts.append(f"{_difference(identity.text)} = 0")
            else:
                parts.append(_named(_difference(identity.text), identity.difference))
        parts += self.objections
        if self.function is not None:
            parts.append(str(self.function))
        if self.assumptions:
            parts.append(self.under)
        if self.holds and self.consequences:
            parts.append("\n".join(map(str, self.consequences)))
        return "\n\n".join(parts)

    def latex(self) -> str:
        r"""Return the proof as a ``gather*`` environment of amsmath.

        All matrices, whatever their size; then the differences of both sides, assumptions and consequences.

        Examples
        --------
        >>> from lumpability import DTMC, lump
        >>> chain = DTMC([[0, 1], [1, 0]])
        >>> from lumpability.symbolic import prove
        >>> print(prove(lump(chain, within=[0, 1])).latex())
        \begin{gather*}
        P = \left[\begin{matrix}0 & 1\\1 & 0\end{matrix}\right], \quad
        V = \left[\begin{matrix}1 & 0\\0 & 1\end{matrix}\right], \quad
        \hat{P} = \left[\begin{matrix}0 & 1\\1 & 0\end{matrix}\right] \\
        P V - V \hat{P} = 0 \\
        ...
        \end{gather*}
        """
        return "\\begin{gather*}\n" + self._lines() + "\n\\end{gather*}"

    def _lines(self) -> str:
        named = [f"{formula(name)} = {latex_of(matrix)}" for name, matrix in self.matrices.items()]
        lines = [", \\quad\n".join(named)]
        for identity in self.identities:
            value = "0" if identity.holds else f"{latex_of(identity.difference)} \\neq 0"
            lines.append(f"{formula(_difference(identity.text))} = {value}")
        lines += [rf"\text{{{escaped(text)}}}" for text in self.objections]
        if self.function is not None:
            lines += [rule.latex for rule in self.function.rules]
        if self.assumptions:
            conditions = ", \\ ".join(latex_of(one) for one in self.assumptions)
            lines.append(rf"\text{{for all }} {conditions}")
        if self.holds:
            lines += [one.latex for one in self.consequences]
        return " \\\\\n".join(lines)

    def _repr_latex_(self) -> str | None:
        if any(max(matrix.shape) > _SHOWN for matrix in self.matrices.values()):
            return None
        return f"$$\\begin{{gathered}}\n{self._lines()}\n\\end{{gathered}}$$"


def _difference(text: str) -> str:
    """Return the difference of the sides of an equation: "Q V - V Q^" for "Q V = V Q^"."""
    return text.replace(" = ", " - ")


def _named(name: str, matrix: Any) -> str:
    """Print ``name = matrix`` with the name beside the middle line."""
    import sympy

    drawn = sympy.pretty(matrix, use_unicode=True, wrap_line=False).splitlines()
    middle, start = (len(drawn) - 1) // 2, f"{name} = "
    return "\n".join(
        ((start if i == middle else " " * len(start)) + line).rstrip()
        for i, line in enumerate(drawn)
    )
