"""Chains in NumPy's ``.npz``: the arrays of a sparse matrix, readable with `numpy.load` alone.

Any program can write the plain layout:

* ``type`` ("CTMC" or "DTMC"), ``indptr``, ``indices``, ``data``: the matrix in compressed rows;
* ``label_names`` and for each a boolean array ``label0``, ``label1``, ...;
* ``srew_NAME`` and ``arew_NAME``: rewards per unit of time and per transition, one for each state;
* ``initial``: the numbers of the initial states, equally likely.

Doubles of this layout are read by the rule of `rationals`.  This library adds the exact numbers: the distinct ones, in
``numerators`` and ``denominators`` (or as text in ``numbers`` if they are too long for 64 bits or hold
parameters), and codes that refer to them: ``data_codes``, ``reward0_state``, ``reward0_action``, ... with
``reward_names``, and ``initial_codes``.  It also adds ``state_names``, with ``state_integers`` for the integers among
them if they are not all of one type.  If ``data_codes`` is present, all numbers are read from there, so writing
and reading gives the same chain.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidInput
from lumpability.files import reading
from lumpability.formats.archives import write_arrays
from lumpability.formats.assembly import (
    assemble,
    chain_class,
    inferred_class,
    parameter_names,
    refuse_initial_label,
    refuse_negative,
    state_names,
    uniform_over,
)
from lumpability.formats.numbers import read_exact
from lumpability.formats.tokens import Array, shown
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import smallest_unsigned
from lumpability.numbers.number_list import NumberList, array_of_codes
from lumpability.numbers.rationals import Reading
from lumpability.structure import WeightedStructure

_LARGEST = 2**63 - 1


def chain_of_arrays(
    arrays: dict[str, Array],
    path: str | Path,
    *,
    float_tolerance: float,
    normalize: bool,
    kind: str | None = None,
    absorbing: bool = False,
) -> MarkovChain:
    """Return the chain of the arrays of an ``.npz``; options as for `lumpability.read`.

    An archive of `scipy.sparse.save_npz` holds a matrix only; `kind` is "dtmc" or "ctmc".
    """
    with reading(path):
        return _Archive(arrays, path, float_tolerance, kind).chain(normalize, absorbing)


class _Archive:
    """The arrays of a file; each is checked when it is read."""

    def __init__(
        self, arrays: dict[str, Array], path: str | Path, float_tolerance: float, kind: str | None
    ) -> None:
        self._arrays, self._path, self._tolerance = arrays, path, float_tolerance
        self._given_kind, self._is_scipy = kind, "format" in arrays and "shape" in arrays
        self._exact = "data_codes" in arrays
        self._values = self._exact_values() if self._exact else []
        self._reading = Reading()
        if self._is_scipy:
            shape = self._array("shape", "iu", 2).tolist()
            if shape[0] != shape[1]:
                raise self._error(f"holds a matrix of {shape[0]} x {shape[1]}: it must be square")
            self._n = shape[0]
        else:
            self._n = len(self._array("indptr", "iu")) - 1

    def _error(self, message: str) -> FormatError:
        return FormatError(message, path=self._path)

    def _array(self, name: str, kinds: str, length: int | None = None) -> Array:
        """Return a one-dimensional array of the given kinds of numbers and length."""
        if name not in self._arrays:
            raise self._error(f"lacks the array {shown(name)!r}")
        array = self._arrays[name]
        if array.dtype.kind not in kinds or array.ndim != 1:
            raise self._error(
                f"the array {shown(name)!r} is {array.ndim}-dimensional of type {array.dtype}"
            )
        if length is not None and len(array) != length:
            raise self._error(f"the array {shown(name)!r} has {len(array)} entries, not {length}")
        return array

    def _exact_values(self) -> list[Any]:
        """The distinct numbers, as fractions and expressions."""
        if "numbers" in self._arrays:
            parameters = self._array("parameters", "U").tolist()
            texts = self._array("numbers", "U").tolist()
            return [read_exact(text, parameters) for text in texts]
        numerators = self._array("numerators", "i").tolist()
        denominators = self._array("denominators", "i", len(numerators)).tolist()
        if any(denominator < 1 for denominator in denominators):
            raise self._error("the array 'denominators' holds a number below 1")
        return [Fraction(p, q) for p, q in zip(numerators, denominators, strict=True)]

    def _coded(self, name: str, length: int) -> ExactArray:
        codes = self._array(name, "iu", length)
        if len(codes) and (codes.min() < 0 or codes.max() >= len(self._values)):
            raise self._error(f"the array {shown(name)!r} refers to a number that does not exist")
        return array_of_codes(codes, self._values)

    def _floats(self, name: str, length: int) -> ExactArray:
        array, new = ExactArray.read(
            self._array(name, "fiu", length), float_tolerance=self._tolerance
        )
        self._reading = self._reading + new
        return array

    def _scipy_structure(self) -> WeightedStructure:
        """Return the matrix that scipy saved, as rows, columns or coordinates."""
        form = self._arrays["format"]
        name = form.item().decode() if form.dtype.kind == "S" and form.ndim == 0 else str(form)
        if name == "coo":
            sources, targets = self._array("row", "iu"), self._array("col", "iu")
            weights = self._floats("data", len(sources))
            return WeightedStructure.from_edges(self._n, sources, targets, weights)
        if name not in ("csr", "csc"):
            raise self._error(f"holds a matrix in the form {shown(name)!r}: save matrix.tocsr()")
        indptr, indices = self._array("indptr", "iu", self._n + 1), self._array("indices", "iu")
        structure = WeightedStructure.from_rows(indptr, indices, self._floats("data", len(indices)))
        return structure if name == "csr" else structure.transposed

    def _structure(self) -> WeightedStructure:
        if self._is_scipy:
            structure = self._scipy_structure()
        else:
            indices = self._array("indices", "iu")
            weights = (
                self._coded("data_codes", len(indices))
                if self._exact
                else self._floats("data", len(indices))
            )
            structure = WeightedStructure.from_rows(self._array("indptr", "iu"), indices, weights)
        refuse_negative(structure.weights, self._path)
        return structure

    def chain(self, normalize: bool, absorbing: bool) -> MarkovChain:
        """Build the chain."""
        structure = self._structure()
        kind = self._kind(structure, normalize)
        labels = self._labels()
        rewards = self._coded_rewards() if self._exact else self._plain_rewards()
        return assemble(
            kind,
            structure,
            labels=labels,
            rewards=rewards,
            states=self._names(),
            initial=self._initial(),
            reading=self._reading,
            normalize=normalize,
            absorbing=absorbing,
        )

    def _kind(self, structure: WeightedStructure, normalize: bool) -> type[MarkovChain]:
        given = self._arrays.get("type")
        if given is None and self._given_kind is not None:
            given = np.array(self._given_kind)
        if given is None and self._is_scipy:
            return inferred_class(structure, self._path, normalize)
        if given is None or given.ndim != 0 or given.dtype.kind != "U":
            raise self._error("lacks the text 'type', which is CTMC or DTMC")
        kind = chain_class(str(given))
        if kind is None:
            raise self._error(f"has the type {shown(str(given))!r}, not CTMC or DTMC")
        return kind

    def _labels(self) -> dict[str, Mask]:
        names = self._array("label_names", "U").tolist() if "label_names" in self._arrays else []
        if len(set(names)) < len(names):
            raise self._error("the array 'label_names' holds a name twice")
        return {name: self._array(f"label{k}", "b", self._n) for k, name in enumerate(names)}

    def _plain_rewards(self) -> dict[str, Reward]:
        parts: dict[str, dict[str, ExactArray]] = {}
        for key in self._arrays:
            for prefix, part in (("srew_", "state"), ("arew_", "action")):
                if key.startswith(prefix):
                    array = self._floats(key, self._n)
                    parts.setdefault(key.removeprefix(prefix), {})[part] = array
        return {name: Reward(**given) for name, given in parts.items()}

    def _coded_rewards(self) -> dict[str, Reward]:
        rewards = {}
        for k, name in enumerate(self._array("reward_names", "U").tolist()):
            state, action = (
                self._coded(key, self._n) if key in self._arrays else None
                for key in (f"reward{k}_state", f"reward{k}_action")
            )
            rewards[name] = Reward(state, action)
        return rewards

    def _initial(self) -> ExactArray | None:
        if "initial_codes" in self._arrays:
            return self._coded("initial_codes", self._n) if self._exact else None
        if "initial" not in self._arrays:
            return None
        states = self._array("initial", "iu")
        if len(states) and (states.min() < 0 or states.max() >= self._n):
            raise self._error(f"the array 'initial' names a state beyond the {self._n} states")
        marks = np.zeros(self._n, dtype=bool)
        marks[states] = True
        return uniform_over(marks)

    def _names(self) -> list[str | int] | None:
        if "state_names" not in self._arrays:
            return None
        names: list[str | int] = self._array("state_names", "Uiu", self._n).tolist()
        if "state_integers" in self._arrays:
            for i in np.flatnonzero(self._array("state_integers", "b", self._n)).tolist():
                try:
                    names[i] = int(names[i])
                except ValueError:
                    problem = f"names the state {shown(repr(names[i]))}, which is not an integer"
                    raise self._error(problem) from None
        return names


def write_npz(chain: MarkovChain, path: str | Path) -> None:
    """Write a chain to an ``.npz`` file: exact numbers, and doubles for other programs.

    State names are kept if they are texts or integers; others become texts, with a `LossyWrite` if two are then
    the same.  Raises `FormatError` if the file cannot be written, or the chain has a label ``init`` of its own.

    >>> import tempfile
    >>> from lumpability import CTMC, read
    >>> chain = CTMC.from_rates({("a", "b"): "1/3"}, labels={"ok": ["a"]}, initial={"a": 1})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(chain, f"{folder}/chain.npz")
    ...     read(f"{folder}/chain.npz").equals(chain)
    True
    """
    refuse_initial_label(chain, path)
    matrix = chain.matrix
    arrays: dict[str, Any] = {
        "type": np.array(type(chain).__name__),
        "indptr": matrix.indptr,
        "indices": matrix.indices,
        "label_names": _texts(list(chain.labels)),
        **{f"label{k}": mask for k, mask in enumerate(chain.labels.values())},
    }
    exact = {"data_codes": matrix.weights}
    for k, reward in enumerate(chain.rewards.values()):
        if reward.state is not None:
            exact[f"reward{k}_state"] = reward.state
        if reward.action is not None:
            exact[f"reward{k}_action"] = reward.action
    if chain.initial is not None:
        exact["initial_codes"] = chain.initial
        arrays["initial"] = chain.initial.support()
    arrays["reward_names"] = _texts(list(chain.rewards))
    arrays |= _doubles(chain) | _coded(exact, parameter_names(chain))
    arrays |= _name_arrays(state_names(chain, path, integers=True))
    with reading(path):
        write_arrays(path, arrays)


def _texts(items: Sequence[str]) -> Array:
    broken = next((item for item in items if not _is_encodable(item)), None)
    if broken is not None:
        raise InvalidInput(f"the name {broken!r} holds half a character, which no file can hold")
    dropped = next((item for item in items if item.endswith("\0")), None)
    if dropped is not None:
        raise InvalidInput(
            f"the name {dropped!r} ends with a zero character, which this format drops: write JSON"
        )
    return np.array(items, dtype=str) if items else np.empty(0, dtype="U1")


def _is_encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _name_arrays(names: list[Any] | None) -> dict[str, Array]:
    if names is None:
        return {}
    integers = np.array([type(name) is int for name in names], dtype=bool)
    if integers.all() and all(abs(name) <= _LARGEST for name in names):
        return {"state_names": np.array(names, dtype=np.int64)}
    texts = {"state_names": _texts([str(name) for name in names])}
    # If a chain's states are integers, its quotient has integers and texts, because merged blocks have texts.
    return texts | ({"state_integers": integers} if integers.any() else {})


def _doubles(chain: MarkovChain) -> dict[str, Array]:
    """The plain layout's numbers, for other programs, except those without a double or an identifier as name."""
    arrays: dict[str, Array] = {}
    if _fit_doubles(chain.matrix.weights):
        arrays["data"] = chain.matrix.weights.to_floats()
    for name, reward in chain.rewards.items():
        parts = (("srew", reward.state), ("arew", reward.action))
        for prefix, part in parts:
            if part is not None and _fit_doubles(part) and name.isidentifier():
                arrays[f"{prefix}_{name}"] = part.to_floats()
    return arrays


def _fit_doubles(array: ExactArray) -> bool:
    return array.is_rational and all(abs(value) <= sys.float_info.max for value in array.values)


def _coded(exact: dict[str, ExactArray], parameters: list[str]) -> dict[str, Array]:
    """Return the codes of all arrays for one list of distinct numbers, and that list."""
    numbers = NumberList()
    codes = {name: numbers.codes(array) for name, array in exact.items()}
    values = numbers.values
    dtype = smallest_unsigned(len(values))
    arrays: dict[str, Array] = {name: found.astype(dtype) for name, found in codes.items()}
    fractions = [value for value in values if isinstance(value, Fraction)]
    if len(fractions) == len(values) and all(
        abs(value.numerator) <= _LARGEST and value.denominator <= _LARGEST for value in fractions
    ):
        arrays["numerators"] = np.array([v.numerator for v in fractions], dtype=np.int64)
        arrays["denominators"] = np.array([v.denominator for v in fractions], dtype=np.int64)
    else:
        arrays["numbers"] = _texts(numbers.texts)
        arrays["parameters"] = _texts(parameters)
    return arrays
