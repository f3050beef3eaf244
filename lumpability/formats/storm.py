"""PRISM and JANI sources, and Storm's own models, through the package ``stormpy``.

Storm parses the source and explores the reachable states, by default with exact rationals, so that
1/3 in the source is 1/3 in the chain.  All labels and rewards are kept; states are named by the values of
the variables on request.  `from_stormpy` and `to_stormpy` convert models in memory.  Cost: some five
microseconds for each transition, as the bridge passes single numbers.
"""

from __future__ import annotations

import faulthandler
import operator
import os
import re
import resource
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lumpability.errors import FormatError, InvalidChain, InvalidInput, require
from lumpability.files import opened, reading
from lumpability.formats.assembly import (
    INITIAL,
    assemble,
    chain_class,
    initial_marks,
    one_choice_class,
    parameter_names,
)
from lumpability.formats.declarations import (
    declared_variables,
    has_transient_variables,
    without_values,
)
from lumpability.formats.prism_rewards import expected_on_leaving
from lumpability.formats.tokens import shown
from lumpability.markov.attributes import Mask, Reward
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.numbers.exact_array import Exact, ExactArray
from lumpability.numbers.rationals import DEFAULT_TOLERANCE, Reading
from lumpability.structure import WeightedStructure

_DIVISION = re.compile(r'/\s*[^\s1-9]|\b(mod|pow)\b|"%"')  # perhaps by zero


def read_source(
    path: str | Path,
    *,
    constants: str | Mapping[str, Any] | None = None,
    exact: bool = True,
    parametric: bool | Iterable[str] = False,
    state_names: bool = True,
    float_tolerance: float = DEFAULT_TOLERANCE,
    normalize: bool = False,
) -> MarkovChain:
    """Build the chain of a source file: ``.jani``, or PRISM's ``.prism``, ``.pm``, ``.sm`` or ``.nm``.

    - constants: values of constants, ``"N=3,p=1/3"`` or ``{"N": 3, "p": "1/3"}``, also in place of the source's
    - exact: explore with rationals; otherwise with doubles, which is some three times as fast, and read those as
      the rationals that were meant
    - parametric: keep constants without a value as symbolic parameters; names keep these, whatever the source says
    - state_names: name states by their variables in the order of declarations, "x=1,y=0"; not possible for JANI
      with parameters and rewards
    - float_tolerance, normalize: as for `lumpability.read`

    Raises `FormatError` if Storm cannot read the file, a constant has no value, or it is not a Markov chain.
    """
    path = Path(path)
    stormpy = require("stormpy", extra="storm")
    # A missing or unreadable file is reported like any other; Storm knows no byte order marks.
    with opened(path, text=True) as stream:
        text = stream.read().decode()
    jani = path.suffix.lower() == ".jani"
    values = _constants(constants)
    kept = set() if isinstance(parametric, bool) else {*parametric}
    if isinstance(parametric, str):
        kept = {parametric}
    with TemporaryDirectory() as folder, reading(path), _quietly(stormpy, path):
        plain = Path(folder) / path.name
        if _DIVISION.search(re.sub("//.*", "", text)):
            _refuse_division_by_zero(stormpy, text, plain, values, kept, exact=exact, path=path)
        source = _parsed(stormpy, text, plain, values, kept)
        undefined = [c.name for c in source.constants if not c.defined]
        if undefined and not parametric:
            raise FormatError(
                f"gives no value to {', '.join(undefined)}: pass constants='{undefined[0]}=...', or "
                "parametric=True to keep them as parameters",
                path=path,
                constants=undefined,
            )
        if undefined:
            # JANI states rewards by transient variables; Storm has no valuations for parametric ones.
            state_names = state_names and not (jani and has_transient_variables(text))
        model = _built(stormpy, source, exact=exact, state_names=state_names)
        order = declared_variables(text, jani=jani) if state_names else []
        chain = _from_stormpy(model, order, float_tolerance=float_tolerance, normalize=normalize)
        return _without_added_loops(chain)


def _built(stormpy: Any, source: Any, *, exact: bool, state_names: bool) -> Any:
    number = stormpy.Rational if exact else float
    if any(not constant.defined for constant in source.constants):
        number = stormpy.RationalFunction
    wanted = stormpy.BuilderOptions()
    wanted.set_build_all_labels()
    wanted.set_build_all_reward_models()
    wanted.set_exploration_checks(True)
    if state_names:
        wanted.set_build_state_valuations()
    return stormpy.build_model[number](source, options=wanted)


def _refuse_division_by_zero(
    stormpy: Any, text: str, plain: Path, values: str, kept: set[str], *, exact: bool, path: Path
) -> None:
    """Explore the source in a copy of this process first, because Storm ends its process at a division by zero."""
    child = os.fork()
    if child == 0:
        try:
            faulthandler.disable()  # no traceback, and no dump of memory
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            source = _parsed(stormpy, text, plain, values, kept)
            _built(stormpy, source, exact=exact, state_names=False)
        finally:
            os._exit(0)  # what Python can catch is told by the process itself
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGFPE:
        raise FormatError("divides by zero in a state that can be reached", path=path)


def _parsed(stormpy: Any, text: str, plain: Path, values: str, kept: set[str]) -> Any:
    """Parse a source; give constants these values, and leave those that are to be parameters without one."""
    jani = plain.suffix.lower() == ".jani"

    def parsed(text: str) -> Any:
        plain.write_text(text, encoding="utf-8", newline="")
        if jani:
            return stormpy.parse_jani_model(str(plain))[0]
        return stormpy.parse_prism_program(str(plain), prism_compatibility=True)

    source = parsed(text)
    given = {item.partition("=")[0].strip() for item in values.split(",")}
    types = {constant.name: str(constant.type) for constant in source.constants}
    for name in sorted(kept):
        if name not in types:
            raise InvalidInput(
                f"has no constant {name}; its constants are {', '.join(types) or 'none'}"
            )
        if name in given:
            raise InvalidInput(f"{name} cannot have a value and stay a parameter")
        if types[name] != "rational":
            raise InvalidInput(
                f"{name} is a constant of type {types[name]}, and cannot be a parameter: read the source once for "
                f"each value, with constants='{name}=...'"
            )
    replaced = (kept | given) & {c.name for c in source.constants if c.defined}
    if replaced:
        source = parsed(without_values(text, replaced, jani=jani))
    return stormpy.instantiate_constants(source, values)[0] if values else source


def _without_added_loops(chain: MarkovChain) -> MarkovChain:
    """Remove the self-loops of rate 1 that Storm adds to states of a CTMC without transitions."""
    if not isinstance(chain, CTMC) or "deadlock" not in chain.labels:
        return chain
    loops = chain.matrix.loops()
    added = loops[chain.labels["deadlock"][chain.matrix.indices[loops]]]
    return chain.rebuilt(
        chain.matrix.without(added),
        states=chain.states if chain.states.named else None,
        labels=chain.labels,
        rewards=chain.rewards,
        initial=chain.initial,
    )


def _constants(given: str | Mapping[str, Any] | None) -> str:
    if given is None or isinstance(given, str):
        return given or ""
    return ",".join(
        f"{name}={str(value).lower() if isinstance(value, bool) else value}"
        for name, value in given.items()
    )


@contextmanager
def _quietly(stormpy: Any, path: Path) -> Iterator[None]:
    """Turn Storm's errors into `FormatError`, and keep its log away from standard error."""
    developer = require("stormpy.developer", extra="storm")
    before = developer.get_log_level()
    developer.set_log_level(developer.LogLevel.OFF)
    try:
        yield
    except (stormpy.exceptions.StormError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise FormatError(f"Storm refuses it: {shown(lines[0], 300)}", path=path) from error
    finally:
        developer.set_log_level(before)


def from_stormpy(
    model: Any, *, float_tolerance: float = DEFAULT_TOLERANCE, normalize: bool = False
) -> MarkovChain:
    """Convert a sparse stormpy model.

    - model: of doubles, rationals or rational functions
    - float_tolerance: for doubles, as for `CTMC`
    - normalize: rescale rows of a DTMC to sum to one
    - returns CTMC or DTMC: initial states become a uniform distribution, state valuations names, rewards on
      transitions the expected reward on leaving the state

    Raises `InvalidChain` if the model is neither a DTMC nor a CTMC.
    """
    return _from_stormpy(model, (), float_tolerance=float_tolerance, normalize=normalize)


def _from_stormpy(
    model: Any, variables: Sequence[str], *, float_tolerance: float, normalize: bool
) -> MarkovChain:
    """Convert a model; names of states list these variables first, in this order."""
    name = str(model.model_type).rpartition(".")[2]
    kind = chain_class(name) or one_choice_class(name)
    if kind is None or not model.is_sparse_model:
        raise InvalidChain(f"only sparse DTMC and CTMC models can be converted, not a {name}")
    if chain_class(name) is None:
        _refuse_choices(model, name)
    total = Reading()

    def numbers(items: list[Any]) -> ExactArray:
        nonlocal total
        array, new = ExactArray.read([_item(x) for x in items], float_tolerance=float_tolerance)
        total = total + new
        return array

    structure = _structure(model.transition_matrix, model.nr_states, numbers)
    if name == "MA":
        exits = numbers(list(model.exit_rates)).take(structure.sources())
        rates = structure.weights.combine(exits, operator.mul)
        structure = WeightedStructure.from_rows(structure.indptr, structure.indices, rates)
    rewards = {}
    for reward_name, reward in model.reward_models.items():
        state = numbers(list(reward.state_rewards)) if reward.has_state_rewards else None
        action = None
        if reward.has_state_action_rewards:
            action = numbers(list(reward.state_action_rewards))
        if reward.has_transition_rewards:
            earned = _structure(reward.transition_rewards, model.nr_states, numbers)
            action = expected_on_leaving(structure, earned, action)
        rewards[reward_name] = Reward(state, action)
    return assemble(
        kind,
        structure,
        labels=_labels(model),
        rewards=rewards,
        states=_names(model, variables),
        reading=total,
        normalize=normalize,
    )


def _refuse_choices(model: Any, name: str) -> None:
    """Refuse a model with choices, or with states that are left at once; name the state."""
    matrix = model.transition_matrix
    for state in range(model.nr_states):
        choices = matrix.get_row_group_end(state) - matrix.get_row_group_start(state)
        if choices != 1:
            raise InvalidChain(
                f"state {state} of this {name} has {choices} choices: only a model with one in every "
                "state is a Markov chain",
                state=state,
            )
    if name == "MA":
        immediate = set(range(model.nr_states)) - set(model.markovian_states)
        if immediate:
            raise InvalidChain(
                f"state {min(immediate)} of this MA has no rate: it is left immediately, which is not possible in "
                "a Markov chain",
                state=min(immediate),
            )


def _item(value: Any) -> Any:
    """Return a number of Storm for the library to read: doubles unchanged, others as exact text."""
    return value if isinstance(value, float) else str(value).replace("^", "**")


def _structure(
    matrix: Any, n: int, numbers: Callable[[list[Any]], ExactArray]
) -> WeightedStructure:
    targets: list[int] = []
    values: list[Any] = []
    indptr = np.zeros(n + 1, dtype=np.int64)
    for row in range(n):
        for entry in matrix.get_row(row):
            targets.append(entry.column)
            values.append(entry.value)
        indptr[row + 1] = len(targets)
    return WeightedStructure.from_rows(indptr, np.array(targets, dtype=np.int64), numbers(values))


def _labels(model: Any) -> dict[str, Mask]:
    labels = {}
    for name in sorted(model.labeling.get_labels()):
        mask = np.zeros(model.nr_states, dtype=bool)
        mask[list(model.labeling.get_states(name))] = True
        labels[name] = mask
    return labels


def _names(model: Any, order: Sequence[str]) -> list[str] | None:
    if not model.has_state_valuations():
        return None
    valuations = model.state_valuations
    columns = []
    places = {name: i for i, name in enumerate(order)}
    variables = valuations.get_all_variables()
    for variable in sorted(variables, key=lambda v: (places.get(v.name, len(places)), v.name)):
        if variable.has_boolean_type():
            true = np.zeros(model.nr_states, dtype=bool)
            true[list(valuations.get_boolean_values(variable))] = True  # the states where it holds
            values = ["true" if value else "false" for value in true.tolist()]
        elif variable.has_integer_type():
            values = [str(value) for value in valuations.get_int64_values(variable)]
        else:
            values = [str(value) for value in valuations.get_rational_values(variable)]
        columns.append([f"{variable.name}={value}" for value in values])
    return [",".join(parts) for parts in zip(*columns, strict=True)] if columns else None


def to_stormpy(chain: MarkovChain, *, exact: bool = True) -> Any:
    """Convert a chain to a sparse stormpy model.

    - chain: without parameters.  State names are not passed on
    - exact: with rationals; otherwise with the nearest doubles
    - returns stormpy.models.SparseDtmc or SparseCtmc: initial states carry the label ``init``

    Raises `InvalidChain` if parameters occur.  Raises `FormatError` if the chain has a label ``init`` of its
    own.  Raises `MissingDependency` if ``stormpy`` is not installed.  Warns `LossyWrite` if the initial
    distribution is not uniform.
    """
    if parameter_names(chain):
        raise InvalidChain("a chain with parameters cannot be passed to Storm: write it as DRN")
    stormpy = require("stormpy", extra="storm")
    kind = stormpy.Rational if exact else float
    structures = require("stormpy.datastructures", extra="storm")
    models = require("stormpy.models", extra="storm")

    def number(value: Exact) -> Any:
        return stormpy.Rational(str(value)) if exact else float(value)

    def vector(array: ExactArray | None) -> list[Any] | None:
        if array is None:
            return None
        table = [number(value) for value in array.values]
        return [table[code] for code in array.codes.tolist()]

    matrix = chain.matrix
    builder = structures.SparseMatrixBuilder[kind](rows=chain.n, columns=chain.n, entries=matrix.m)
    builder.add_next_values(
        matrix.sources().tolist(), matrix.indices.tolist(), vector(matrix.weights)
    )
    components = models.SparseModelComponents[kind](
        transition_matrix=builder.build(),
        state_labeling=_labeling(chain, models, structures),
        reward_models={
            name: models.SparseRewardModel[kind](vector(reward.state), vector(reward.action))
            for name, reward in chain.rewards.items()
        },
        rate_transitions=isinstance(chain, CTMC),
    )
    model = models.SparseCtmc if isinstance(chain, CTMC) else models.SparseDtmc
    return model[kind](components)


def _labeling(chain: MarkovChain, models: Any, structures: Any) -> Any:
    labeling = models.StateLabeling(chain.n)
    masks = dict(chain.labels)
    marks = initial_marks(chain, "the stormpy model")
    if marks is not None:
        masks[INITIAL] = marks
    for name, mask in masks.items():
        labeling.add_label(name)
        carriers = structures.BitVector(chain.n, np.flatnonzero(mask).tolist())
        labeling.set_states(name, carriers)
    return labeling
