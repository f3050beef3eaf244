"""Linear systems: exactly by sympy's matrices over a field, numerically by scipy.

Exact systems are solved by LU decomposition over the rationals or the field of the parameters, numeric
ones by SuperLU (direct) or by GMRES with an incomplete factorisation or the diagonal as preconditioner
(iterative).  The residual is computed from the result, not reported by the solver.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lumpability.errors import NoConvergence, NotUnique
from lumpability.markov.solve.solution import Effort, Floats
from lumpability.numbers.exact_array import Exact
from lumpability.numbers.parameters import in_one_field

_FACTORISE_UP_TO = 2_000_000  # entries for which an incomplete factorisation is tried
_RESTART = 30


def solve_exact(rows: Sequence[Mapping[int, Exact]], right: Sequence[Exact]) -> list[Exact]:
    """Solve a square system over the rationals or a field of rational functions.

    Raises `NotUnique` if the matrix is singular.

    - rows: sequence of mapping from column to coefficient, length n

    O(n^3) operations on numbers that grow: some hundred unknowns.
    """
    import sympy
    from sympy.polys.matrices import DomainMatrix
    from sympy.polys.matrices.exceptions import DMNonInvertibleMatrixError

    if not rows:
        return []
    coefficients, right = in_one_field([x for row in rows for x in row.values()], right)
    following = iter(coefficients)
    rows = [{j: next(following) for j in row} for row in rows]
    field = next((x.field for x in [*coefficients, *right] if not isinstance(x, Fraction)), None)
    domain = sympy.QQ if field is None else field.to_domain()

    def element(value: Exact) -> Any:
        if not isinstance(value, Fraction):
            return value
        number = sympy.QQ(value.numerator, value.denominator)
        return number if field is None else domain.convert_from(number, sympy.QQ)

    n = len(rows)
    entries = {i: {j: element(x) for j, x in row.items() if x != 0} for i, row in enumerate(rows)}
    matrix = DomainMatrix({i: row for i, row in entries.items() if row}, (n, n), domain)
    column = DomainMatrix([[element(x)] for x in right], (n, 1), domain)
    try:
        solution = matrix.to_dense().lu_solve(column).to_dense()
    except DMNonInvertibleMatrixError:
        raise NotUnique("the system is singular: its solution is not unique") from None
    values = [row[0] for row in solution.to_list()]
    if field is not None:
        return values
    return [Fraction(int(x.numerator), int(x.denominator)) for x in values]


def solve_numeric(
    matrix: Any, right: Floats, effort: Effort, *, preconditioned: Any = None
) -> tuple[Floats, float, int]:
    """Solve a square system in floating point by one method; return solution, residual, iterations.

    Raises `NoConvergence` if the matrix is singular in floating point, or the iteration stops above the
    tolerance; carries ``residual``.

    - matrix: scipy sparse matrix, or a LinearOperator for "iterative"
    - right: array of float, shape (n,)
    - effort: its method is "direct" or "iterative"
    - preconditioned: approximates the inverse; by default made from the matrix
    """
    iterations = 0
    if effort.method == "direct":
        solution = _direct(matrix, right)
    else:
        inverse = _preconditioner(matrix) if preconditioned is None else preconditioned
        solution, iterations = _iterate(matrix, right, inverse, effort)
    residual = float(np.abs(matrix @ solution - right).max(initial=0.0))
    return solution, residual, iterations


def _direct(matrix: Any, right: Floats) -> Floats:
    from scipy.sparse.linalg import splu

    try:
        solution: Floats = splu(matrix.tocsc()).solve(right)
    except RuntimeError as error:  # "Factor is exactly singular"
        raise NoConvergence(
            f"the factorisation failed ({error}): use method='exact'", residual=np.inf
        ) from None
    if not np.isfinite(solution).all():
        raise NoConvergence(
            "the system is singular in floating point: use method='exact'", residual=np.inf
        )
    return solution


def _preconditioner(matrix: Any) -> Any:
    from scipy.sparse.linalg import LinearOperator, spilu

    if matrix.nnz <= _FACTORISE_UP_TO:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a poor factorisation only costs iterations
            try:
                return LinearOperator(matrix.shape, spilu(matrix.tocsc()).solve)
            except RuntimeError:  # a zero pivot: take the diagonal
                return _by_diagonal(matrix)
    return _by_diagonal(matrix)


def _by_diagonal(matrix: Any) -> Any:
    from scipy.sparse.linalg import LinearOperator

    diagonal = matrix.diagonal()
    return LinearOperator(matrix.shape, lambda x: x / diagonal)


def _iterate(matrix: Any, right: Floats, inverse: Any, effort: Effort) -> tuple[Floats, int]:
    """Run GMRES cycle by cycle until the backward error is small.

    Then the solution solves a system whose coefficients differ by the tolerance, relatively.  A small residual
    relative to the right side alone cannot be reached when the solution is large.
    """
    from scipy.sparse.linalg import gmres

    done = 0

    def count(_: float) -> None:
        nonlocal done
        done += 1
        if effort.progress is not None:
            effort.progress(done, effort.max_iterations)

    solution: Floats = np.zeros(len(right))
    norm = _row_norm(matrix)
    restart = max(1, min(_RESTART, effort.max_iterations))
    while True:
        solution, _ = gmres(
            matrix,
            right,
            x0=solution,
            rtol=0.0,
            atol=effort.tolerance * float(np.abs(right).max(initial=0.0)),
            restart=restart,
            maxiter=1,
            M=inverse,
            callback=count,
            callback_type="pr_norm",
        )
        residual = float(np.abs(matrix @ solution - right).max(initial=0.0))
        size = norm * float(np.abs(solution).max(initial=0.0)) + float(np.abs(right).max(initial=0))
        if residual <= effort.tolerance * size:
            return solution, done
        if done >= effort.max_iterations or not np.isfinite(residual):
            raise NoConvergence(
                f"no convergence to {effort.tolerance:g} in {done} iterations (residual "
                f"{residual:.1e}): raise max_iterations or tolerance, or use method='direct'",
                residual=residual,
                iterations=done,
            )


def _row_norm(matrix: Any) -> float:
    """Return the largest absolute row sum; 1 for an operator, whose entries are unknown."""
    return float(abs(matrix).sum(axis=1).max()) if hasattr(matrix, "tocsc") else 1.0


def first_success(
    solve: Callable[[Effort], tuple[Floats, float, int]], effort: Effort
) -> tuple[Floats, float, int, str]:
    """Try the methods of an effort in turn; return also the name of the one that succeeded.

    Raises `NoConvergence`: that of the last method, if all fail.
    """
    *before, last = effort.attempts()
    for attempt in before:
        try:
            return (*solve(attempt), attempt.method)
        except NoConvergence:  # try the next method
            continue
    return (*solve(last), last.method)
