"""The task sheet and its solution.

The sheet states the notion, shows the matrix, and says what to do and how to write the answer.
The solution has the sums of every round, the partitions, the quotient, and the answer as the
grader reads it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np

from lumpability.dispatch import lump
from lumpability.markov.chains import CTMC, MarkovChain
from lumpability.markov.kinds import find_kind
from lumpability.markov.kinds.kind import balance_matrix
from lumpability.markov.lumping import Lumping
from lumpability.numbers.rationals import shown
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.teaching.exercises.neurons import (
    NetworkTask,
    network_answer,
    sheet_items,
    solution_items,
)
from lumpability.teaching.exercises.pages import (
    Code,
    Grid,
    Heading,
    Hidden,
    Item,
    Items,
    Text,
    render,
)
from lumpability.teaching.exercises.task import (
    MARK,
    Task,
    block_text,
    observations,
    rounds_of,
    write_task,
)

FORMATS = ("markdown", "latex", "html")

_NOTIONS = {
    "ordinary": "A partition is ordinary lumpable when the states of each block have equal sums of "
    "rates into every block (diagonal of Q included).",
    "bisimulation": "A partition is a bisimulation when the states of each block have equal sums of "
    "rates into every block, their own included; self-loops count.",
    "exact": "A partition is exactly lumpable when the states of each block receive equal sums of rates "
    "from every block (columns of Q, diagonal included).",
    "strict": "A partition is strictly lumpable when the states of each block have equal sums of rates "
    "into every block, and receive equal sums from every block (diagonal of Q included).",
    "proportional": "A partition is proportionally lumpable when the rates of each state out of its "
    "block go into the other blocks in the same shares as those of any other state of the block.",
}
_QUOTIENTS = {
    "ordinary": "from block B to block C: the sum of the rates of any state of B into C",
    "bisimulation": "from block B to block C: the sum of the rates of any state of B into C, for C = B too",
    "exact": "from block B to block C: what any state of C receives from B, times |C|, divided by |B|",
    "strict": "from block B to block C: the sum of the rates of any state of B into C",
    "proportional": "from block B to block C: the sum of the rates into C of the first state of B "
    "(in the order of the table)",
}


def sheet(task: Task | NetworkTask, *, markup: str = "markdown", seed: bool = False) -> str:
    """Return the task sheet.

    Parameters
    ----------
    task : Task or NetworkTask
    markup : {"markdown", "latex", "html"}
    seed : bool
        Whether the sheet says how it was made.  With the seed anybody can make the solution.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> print(sheet(Task(land_of_oz(), "ordinary")))
    # Exercise: ordinary lumping, 3 states
    ...
    | P | rain | nice | snow |
    |---|---|---|---|
    | rain | 1/2 | 1/4 | 1/4 |
    | nice | 1/2 | 0 | 1/2 |
    | snow | 1/4 | 1/4 | 1/2 |
    ...
    """
    if not seed:
        task = replace(task, made="")
    hidden = MARK + write_task(task)
    items = sheet_items(task, hidden) if isinstance(task, NetworkTask) else _sheet(task, hidden)
    return render(items, markup)


def _sheet(task: Task, hidden: str) -> list[Item]:
    chain = task.chain
    name, matrix = _matrix(chain, task.kind)
    time = "rates per unit of time" if isinstance(chain, CTMC) else "probabilities of one step"
    refine = (
        f"In every round find for each state its {_what(task.kind)}, for all blocks of the partition so "
        "far, and separate the states of a block that differ. Write down the partition after each "
        "round, until a round separates nothing."
    )
    collapse = f"Give the matrix of the quotient, {_QUOTIENTS[task.kind]}."
    prove = "Which identity of matrices proves that the quotient is right? Check it."
    page: list[Item] = [
        Heading(f"Exercise: {task.kind} lumping, {chain.n} states", 1),
        Text(
            f"The table is the matrix {name} of a Markov chain, {time}; rows are where it goes from."
        ),
        _table(name, matrix, [str(state) for state in chain.states]),
        *(Text(f"The label {label} marks {_members(chain, label)}.") for label in chain.labels),
        Heading("The notion"),
        Text(_NOTIONS[task.kind]),
        Heading("What to do"),
        Items(("Begin with the partition by labels.", refine, collapse, prove)),
        Heading("How to write the answer"),
        Text(
            "As JSON, the blocks as lists of states, first the partition by labels; numbers are such as "
            '3, 0.5 or "1/2"; blocks of the quotient are in the order of the last partition.'
        ),
        Code('{"rounds": [[["a", "b", "c"], ["d"]], ...],\n "quotient": [[0, "1/2"], [3, 0]]}'),
    ]
    if task.made:
        page.append(Text(f"This sheet: lumpability {task.made}"))
    page.append(Hidden(hidden))
    return page


def solution(task: Task | NetworkTask, *, markup: str = "markdown") -> str:
    """Return the solution: the sums of every round, the partitions, the quotient, the answer as JSON.

    Parameters
    ----------
    task : Task or NetworkTask
    markup : {"markdown", "latex", "html"}

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> print(solution(Task(land_of_oz(), "ordinary")))
    # Solution: ordinary lumping, 3 states
    ...
    P V = V P^ holds exactly
    ...
    """
    items = solution_items(task) if isinstance(task, NetworkTask) else _solution(task)
    return render(items, markup)


def _solution(task: Task) -> list[Item]:
    chain, kind = task.chain, task.kind
    lumping = lump(chain, kind=kind)
    rounds = rounds_of(chain, kind=kind)
    page: list[Item] = [
        Heading(f"Solution: {kind} lumping, {chain.n} states", 1),
        Text(f"By labels: {_blocks(chain, rounds[0])}"),
    ]
    for number, partition in enumerate(rounds, 1):
        last = number == len(rounds)
        page += [
            Heading(f"Round {number}"),
            _sums(task, partition),
            Text(
                "Nothing is separated: this partition is the coarsest."
                if last
                else f"After it: {_blocks(chain, rounds[number])}"
            ),
        ]
    name = "P^" if not isinstance(chain, CTMC) else "R^" if lumping.notion.keeps_jumps else "Q^"
    blocks = [block_text(chain, lumping.partition, block) for block in range(lumping.quotient.n)]
    _, matrix = _matrix(lumping.quotient, kind)
    page += [
        Heading("The quotient"),
        _table(name, matrix, blocks),
        Text(f"{lumping.stats.proof}"),
        *_factors(lumping),
        Heading("The answer as JSON"),
        Code(json.dumps(model_answer(task))),
    ]
    return page


def model_answer(task: Task | NetworkTask) -> dict[str, Any]:
    """Return the answer that `grade` finds right in every step.

    Examples
    --------
    >>> from lumpability.markov.examples import land_of_oz
    >>> model_answer(Task(land_of_oz(), "ordinary"))["rounds"]
    [[['rain', 'snow'], ['nice']]]
    """
    if isinstance(task, NetworkTask):
        return network_answer(task)
    chain = task.chain
    matrix = lump(chain, kind=task.kind).quotient.matrix
    rows = [dict(matrix.row(block)) for block in range(matrix.n)]
    return {
        "rounds": [
            [[str(chain.states[state]) for state in block.tolist()] for block in partition]
            for partition in rounds_of(chain, kind=task.kind)
        ],
        "quotient": [[str(row.get(target, 0)) for target in range(matrix.n)] for row in rows],
    }


def _matrix(chain: MarkovChain, kind: str) -> tuple[str, WeightedStructure]:
    """Return the matrix of a notion, with its name."""
    if not isinstance(chain, CTMC):
        return "P", chain.matrix
    if find_kind(kind).keeps_jumps:
        return "R", chain.matrix
    return "Q", balance_matrix(chain)


def _table(name: str, matrix: WeightedStructure, names: list[str]) -> Grid:
    rows = [dict(matrix.row(state)) for state in range(matrix.n)]
    return Grid(
        (name, *names),
        tuple(
            (own, *(shown(row.get(target, 0)) for target in range(matrix.n)))
            for own, row in zip(names, rows, strict=True)
        ),
    )


def _members(chain: MarkovChain, label: str) -> str:
    return ", ".join(str(chain.states[state]) for state in np.flatnonzero(chain.labels[label]))


def _blocks(chain: MarkovChain, partition: Partition) -> str:
    return ", ".join(block_text(chain, partition, block) for block in range(len(partition)))


def _what(kind: str) -> str:
    notion = find_kind(kind)
    if notion.scaled:
        return "shares of the rates out of its block"
    if not notion.outgoing:
        return "sums of rates coming in"
    return "sums of rates" + (", going out and coming in" if notion.incoming else "")


def _sums(task: Task, partition: Partition) -> Grid:
    """Return the sums that a round compares: one row for each state, block after block."""
    chain = task.chain
    seen = observations(chain, partition, kind=task.kind)
    conditions = find_kind(task.kind).conditions(chain)
    places = [(one.direction, block) for one in conditions for block in range(len(partition))]
    heads = [
        f"{'into' if direction == 'out' else 'from'} {block_text(chain, partition, block)}"
        for direction, block in places
    ]
    order = partition.blocks.members.tolist()
    return Grid(
        ("state", *heads),
        tuple(
            (str(chain.states[s]), *(shown(seen[s].get(place, 0)) for place in places))
            for s in order
        ),
    )


def _factors(lumping: Lumping) -> list[Item]:
    if lumping.factors is None:
        return []
    told = ", ".join(
        f"{state}: {shown(factor)}"
        for state, factor in zip(lumping.chain.states, lumping.factors, strict=True)
    )
    return [Text(f"Factors kappa: {told}")]
