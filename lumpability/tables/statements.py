"""The statements of refinement in SQL, over tables of transitions, states, blocks and what was renamed.

=========  ===========================  =================================================================
table      columns                      content
=========  ===========================  =================================================================
gen        source, target, w0 (, w1)    integer weights of one matrix, or of two for strict lumping
state      s, label                     the name of every state's block
size       label, c                     the states of every block that has more than one
renamed    u, old, label, delta         what got a new name in the last round; delta = r(label) - r(old)
touched    s, label, d0, ...            states whose sums change, in blocks of several states
parts      label, d0, ..., kept         parts of blocks; one of each block keeps its name
=========  ===========================  =================================================================

F(s) = sum over u of M[s, u] r(name of u's block) is equal inside blocks before a round, because blocks were
split by it.  Therefore the change d(s) = sum over renamed u of M[s, u] delta(u) alone tells the states of a
block apart, and no F is stored.  The largest part of a block keeps its name, so a state is renamed at most
log n times.  A new name is round n + least member: unique, and the same on every engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from lumpability.tables.dialects import BITS, Dialect

STATE = (
    "SELECT state.s, coalesce(renamed.label, state.label) AS label "
    "FROM state LEFT JOIN renamed ON state.s = renamed.u"
)
"""The states with their new names."""
FIRST_SIZE = "SELECT label, count(*) AS c FROM state GROUP BY label HAVING count(*) > 1"
"""The sizes of blocks of several states, counted; `SIZE` has them after renaming."""
SIZE = (
    "SELECT label, CAST(sum(change) AS BIGINT) AS c FROM (SELECT label, c AS change FROM size "
    "UNION ALL SELECT label, count(*) AS change FROM renamed GROUP BY label "
    "UNION ALL SELECT old AS label, -count(*) AS change FROM renamed GROUP BY old) "
    "GROUP BY label HAVING sum(change) > 1"
)


@dataclass(frozen=True)
class Statements:
    """The queries of a round, in a dialect."""

    dialect: Dialect
    n: int  # states
    moduli: tuple[int, ...] = (
        0,
    )  # of every column of weights: 0 for integers, or a prime for residues of them
    bits: int = BITS  # of the values of blocks; few in tests, which force collisions

    @property
    def keys(self) -> list[str]:
        """The columns by which blocks are split."""
        count = sum(len(self.dialect.products(f"w{i}", p)) for i, p in enumerate(self.moduli))
        return [f"d{i}" for i in range(count)]

    def start(self, base: int, seed: int) -> str:
        """Everything outside the largest block counts as renamed, from that block's name.

        Rows of a block have equal sums, so one constant may be added to all values.
        """
        value = self.dialect.value
        base_value = value(f"CAST({base} AS BIGINT)", seed, self.bits)
        return (
            f"SELECT s AS u, CAST({base} AS BIGINT) AS old, label, "
            f"{value('label', seed, self.bits)} - {base_value} AS delta "
            f"FROM state WHERE label <> {base}"
        )

    def _with_label(self, changes: str) -> str:
        keys = ", ".join(f"c.{key}" for key in self.keys)
        return (
            f"SELECT c.s, state.label, {keys} FROM ({changes}) c JOIN state ON c.s = state.s "
            "JOIN size ON state.label = size.label"
        )

    def touched(self) -> str:
        """States whose sums change by what was renamed, in blocks of several states."""
        weights = [(f"gen.w{i}", p) for i, p in enumerate(self.moduli)]
        sums = [term for weight in weights for term in self.dialect.products(*weight)]
        named = ", ".join(f"{term} AS {key}" for term, key in zip(sums, self.keys, strict=True))
        nonzero = " OR ".join(f"{term} <> 0" for term in sums)
        return self._with_label(
            f"SELECT gen.source AS s, {named} FROM gen JOIN renamed ON gen.target = renamed.u "
            f"GROUP BY gen.source HAVING {nonzero}"
        )

    def touched_by_row_sums(self) -> str:
        """States with the sums of their rows, by which blocks are split at first."""
        sums = [self.dialect.total(f"w{i}", p) for i, p in enumerate(self.moduli)]
        zeros = ["0"] * (len(self.keys) - len(sums))
        named = ", ".join(
            f"{term} AS {key}" for term, key in zip([*sums, *zeros], self.keys, strict=True)
        )
        nonzero = " OR ".join(f"{term} <> 0" for term in sums)
        return self._with_label(
            f"SELECT source AS s, {named} FROM gen GROUP BY source HAVING {nonzero}"
        )

    def parts(self) -> str:
        """Parts of blocks, with their least members; the largest part keeps the name of its block.

        What is not touched is a part too, the ``rest``; it keeps the name if no other part is larger.
        """
        keys = ", ".join(self.keys)
        return (
            f"SELECT p.*, size.c - whole AS rest, place = 1 AND p.c > size.c - whole AS kept FROM ("
            f"SELECT *, sum(c) OVER (PARTITION BY label) AS whole, "
            f"row_number() OVER (PARTITION BY label ORDER BY c DESC, least) AS place FROM ("
            f"SELECT label, {keys}, min(s) AS least, count(*) AS c FROM touched GROUP BY label, {keys}"
            f")) p JOIN size ON p.label = size.label"
        )

    def renamed(self, round_number: int, seed: int, *, stripped: bool) -> str:
        """States with a new name: those in parts that do not keep the old one.

        - round_number: from 1
        - stripped: whether a touched part keeps the name of a block of which a rest remains
        """
        same = " AND ".join(f"t.{key} = p.{key}" for key in self.keys)
        first = round_number * self.n
        moved = (
            f"SELECT t.s AS u, t.label AS old, {first} + p.least AS label FROM touched t "
            f"JOIN parts p ON t.label = p.label AND {same} WHERE NOT p.kept"
        )
        if stripped:
            moved += (
                f" UNION ALL SELECT s AS u, label AS old, "
                f"{first} + min(s) OVER (PARTITION BY label) AS label FROM ("
                f"SELECT state.s, state.label FROM state {self.dialect.semi} "
                f"(SELECT label FROM parts WHERE kept AND rest > 0) k ON state.label = k.label) r "
                f"{self.dialect.anti} touched ON r.s = touched.s"
            )
        value = self.dialect.value
        delta = f"{value('label', seed, self.bits)} - {value('old', seed, self.bits)}"
        return f"SELECT u, old, CAST(label AS BIGINT) AS label, {delta} AS delta FROM ({moved})"
