"""The rounds of refinement on tables: everything is a statement, and every round a transaction.

The algorithm is that of `statements`; this module says in which order statements run, when the state is
written anew, and what happens if a proof fails.  Different sums into blocks have equal changes with a
probability of about 2^-60 (`dialects`).  If `proof` finds a block whose states differ, that block is split by the exact
sums, new pseudo-random values are taken, and rounds go on from the partition reached.  Every failed proof
splits at least one block, so this ends, whatever the values are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lumpability.errors import LumpabilityError
from lumpability.tables.database import Database
from lumpability.tables.proof import Proof
from lumpability.tables.statements import FIRST_SIZE, SIZE, STATE, Statements

_BYTES_OF_UPDATE = 128  # of memory, for a state that moves; of more, all states are written anew


@dataclass(frozen=True)
class RoundReport:
    """How far a refinement has come.

    Attributes
    ----------
    number : int
        Of the round, from 1.
    blocks : int
    pending : int
        States in blocks that may still split.
    disk : int
        Bytes that the working folder takes.
    seconds : float
        Since the refinement began, or went on.
    """

    number: int
    blocks: int
    pending: int
    disk: int
    seconds: float


Finish = Callable[["Rounds", int], bool]
"""Called with the rounds and the number of pending states; returns whether it has finished the refinement."""


class Rounds:
    """A refinement on tables ``gen`` and ``state``, which may have been begun by an earlier process.

    - balanced: whether all rows have the same sum, so that the first split by row sums is left out
    - rows: of ``gen``, by which the proof cuts its ranges
    - listed_once: returns whether ``gen`` is known to have no two rows with one source and target
    - report: called after every round
    - finish: called between rounds; may finish the refinement in memory and rename the states, see `hybrid`
    """

    def __init__(
        self,
        database: Database,
        statements: Statements,
        *,
        balanced: bool,
        rows: int,
        listed_once: Callable[[], bool],
        report: Callable[[RoundReport], None] | None = None,
        finish: Finish | None = None,
    ) -> None:
        self.database, self.statements = database, statements
        self.balanced, self.rows, self.listed_once = balanced, rows, listed_once
        self.report, self.finish = report, finish
        self.proof = Proof(statements.dialect, statements.n, statements.moduli)
        self.number = self.seed = self.blocks = 0
        self.proving = False
        self.started = time.perf_counter()

    def run(self) -> None:
        """Refine until the partition is proved stable.

        Leaves the tables of `Proof`: ``blocks``, ``final`` and ``sums``.
        """
        saved = self.database.recall("rounds")
        if saved is None:
            self._begin()
        else:
            self.number, self.seed, self.blocks, self.proving = saved
        while True:
            while not self.proving:
                self._round()
            if self._is_proved():
                return
            self._split_exactly()

    def _begin(self) -> None:
        with self.database.transaction():
            self.database.store("size", FIRST_SIZE)
            self.blocks = self.database.value("SELECT count(DISTINCT label) FROM state")
            if not self.balanced:
                self._split(self.statements.touched_by_row_sums())
            self.database.store("renamed", self.statements.start(self._largest(), self.seed))
            self.save(proving=False)

    def _largest(self) -> int:
        found = self.database.run("SELECT label FROM size ORDER BY c DESC, label LIMIT 1")
        return int(found[0][0]) if found else 0

    def _round(self) -> None:
        pending = int(self.database.value("SELECT coalesce(sum(c), 0) FROM size"))
        if not pending:
            self.save(proving=True)
            return
        if self.finish is not None and self.finish(self, pending):
            return
        with self.database.transaction():
            self.save(proving=not self._split(self.statements.touched()))
        if self.report is not None:
            seconds = time.perf_counter() - self.started
            disk = self.database.workspace.disk()
            self.report(RoundReport(self.number, self.blocks, pending, disk, seconds))

    def _split(self, touched: str) -> int:
        """Split blocks by the keys of touched states; return how many states were renamed."""
        database, statements = self.database, self.statements
        self.number += 1
        database.store("touched", touched, temporary=True)
        database.store("parts", statements.parts(), temporary=True)
        new, stripped = database.run(
            "SELECT count(*) FILTER (WHERE NOT kept), count(DISTINCT label) "
            "FILTER (WHERE kept AND rest > 0) FROM parts"
        )[0]
        renamed = statements.renamed(self.number, self.seed, stripped=stripped > 0)
        return self.rename(renamed, new + stripped)

    def rename(self, renamed: str, new: int) -> int:
        """Give states new names, of which there are `new`; return how many states were renamed."""
        database, statements = self.database, self.statements
        database.store("renamed", renamed)
        moved = int(database.value("SELECT count(*) FROM renamed"))
        if moved:
            few = 2 * moved < statements.n and _BYTES_OF_UPDATE * moved < database.memory
            database.relabel(STATE, few=few)
            database.store("size", SIZE)
        self.blocks += new
        return moved

    def save(self, *, proving: bool) -> None:
        """Write down how far the refinement has come, and whether a proof is next."""
        self.proving = proving
        self.database.remember("rounds", [self.number, self.seed, self.blocks, self.proving])

    def _is_proved(self) -> bool:
        """Number the blocks, and compare the exact sums of all states; list the blocks that fail."""
        database, proof = self.database, self.proof
        apart = self.blocks == self.statements.n and self.listed_once()
        for name, query in proof.tables(apart=apart).items():
            database.store(name, query, temporary=True)
        database.store("violating", "SELECT block FROM blocks WHERE block < 0")
        for violations in proof.violations(self.rows, database.memory):
            database.append("violating", f"SELECT DISTINCT block FROM ({violations})")
        return not database.value("SELECT count(*) FROM violating")

    def _split_exactly(self) -> None:
        """Split the blocks that failed the proof by their exact sums, and take new values."""
        with self.database.transaction():
            if not self._split(self.proof.exact_parts(self.statements.keys)):
                raise LumpabilityError(
                    "internal error: a block failed its proof and has equal sums; please report it"
                )
            self.seed += 1
            self.database.store("renamed", self.statements.start(self._largest(), self.seed))
            self.save(proving=False)
