"""The proof of a partition of a table: exact sums into every block, compared inside blocks.

Blocks are numbered by their least members.  The exact sums of these members are the quotient.  Every other
member of a block must have the same sums, values and number; states that are their whole block need no
comparison.  This is the identity M V = V M^ itself, in integers; nothing here knows how the partition was found.

Most states have one transition for each of the k sums of their block, in which case sums need not be grouped.
Let the i-th sum of a block have the mark 2^i.  If k transitions of a state each have a weight that is the sum
into the target's block, and their marks add up to 2^k - 1, then each sum occurs once: no k powers of two other than
1, 2, ..., 2^(k-1) have this total.  For the other states sums are grouped by state and block, range by range,
so that those of a range fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lumpability.tables.dialects import Dialect

_MARKS = 30
"""Sums of a block that are marked, so that totals of marks have 64 bits."""
_BYTES = 100  # of memory, for a transition


@dataclass(frozen=True)
class Proof:
    """The queries of a proof, over the tables ``gen`` and ``state``; see `statements`.

    =========  ==============================  ==================================================
    table      columns                         content
    =========  ==============================  ==================================================
    blocks     label, least, members, block    the blocks; ``block`` is the canonical number
    final      s, block                        the number of every state's block
    sums       block, other, t0 (, t1)         nonzero sums of the least members: the quotient
    expected   block, entries                  how many sums a block of several states has
    marked     block, other, t0 (, t1), mark   sums with their marks, of blocks with few of them
    unproved   s, block                        states whose sums have to be grouped
    =========  ==============================  ==================================================
    """

    dialect: Dialect
    n: int
    moduli: tuple[int, ...] = (0,)

    @property
    def totals(self) -> list[str]:
        """The columns of sums."""
        return [f"t{i}" for i in range(len(self.moduli))]

    def tables(self, *, apart: bool = False) -> dict[str, str]:
        """The queries of the tables, in the order in which they are made.

        - apart: whether every state is a block, and has one transition to each of its targets
        """
        columns = ", ".join(f"w{i} AS {total}" for i, total in enumerate(self.totals))
        return {
            "blocks": "SELECT label, least, members, row_number() OVER (ORDER BY least) - 1 AS block FROM "
            "(SELECT label, min(s) AS least, count(*) AS members FROM state GROUP BY label)",
            "final": "SELECT state.s, blocks.block FROM state JOIN blocks ON state.label = blocks.label",
            "sums": f"SELECT source AS block, target AS other, {columns} FROM gen"
            if apart
            else self._sums("(SELECT least AS s, block FROM blocks)", "block"),
            "expected": f"SELECT block, count(*) AS entries FROM {self._shared()} GROUP BY block",
            "marked": self._marked(),
            "unproved": self._unproved(),
        }

    def _sums(self, rows: str, by: str) -> str:
        """Nonzero exact sums into blocks; `rows` has the columns s and block, and `by` is the one to group by.

        Grouping by one number takes half of the time of grouping by two.
        """
        totals = [self.dialect.total(f"gen.w{i}", p) for i, p in enumerate(self.moduli)]
        named = ", ".join(f"{t} AS {name}" for t, name in zip(totals, self.totals, strict=True))
        nonzero = " OR ".join(f"{total} <> 0" for total in totals)
        pair = f"own.{by} * {self.n} + target.block"
        return (
            f"SELECT pair {self.dialect.divided} {self.n} AS {by}, pair % {self.n} AS other, "
            f"{', '.join(self.totals)} FROM (SELECT {pair} AS pair, {named} FROM gen "
            f"JOIN {rows} own ON gen.source = own.s JOIN final target ON gen.target = target.s "
            f"GROUP BY {pair} HAVING {nonzero})"
        )

    def _shared(self) -> str:
        """The sums of blocks that have several states."""
        several = "(SELECT block FROM blocks WHERE members > 1) several"
        return (
            f"(SELECT sums.* FROM sums {self.dialect.semi} {several} ON sums.block = several.block)"
        )

    def _marked(self) -> str:
        """Sums with their marks, of blocks that have few of them and several members."""
        return (
            f"SELECT sums.*, {self.dialect.power('place')} AS mark FROM "
            f"(SELECT *, row_number() OVER (PARTITION BY block ORDER BY other) - 1 AS place FROM {self._shared()}) "
            f"sums JOIN expected ON sums.block = expected.block WHERE expected.entries <= {_MARKS}"
        )

    def _unproved(self) -> str:
        """States of blocks of several, except those whose transitions are the sums of their block one by one."""
        same = " AND ".join(f"marked.t{i} = gen.w{i}" for i in range(len(self.moduli)))
        seen = (
            "SELECT gen.source AS s, count(*) AS rows, count(marked.mark) AS agreed, sum(marked.mark) AS marks "
            "FROM gen JOIN final target ON gen.target = target.s JOIN final own ON gen.source = own.s "
            f"LEFT JOIN marked ON marked.block = own.block AND marked.other = target.block AND {same} "
            "GROUP BY gen.source"
        )
        full = f"{self.dialect.power('expected.entries')} - 1"
        return (
            "SELECT final.s, final.block FROM final JOIN blocks ON final.block = blocks.block "
            f"LEFT JOIN ({seen}) seen ON final.s = seen.s LEFT JOIN expected ON final.block = expected.block "
            "WHERE blocks.members > 1 AND NOT coalesce(seen.rows = expected.entries "
            f"AND seen.agreed = expected.entries AND expected.entries <= {_MARKS} AND seen.marks = {full}, false)"
        )

    def violations(self, rows: int, memory: int) -> Iterator[str]:
        """States whose sums differ from those of the least member of their block, by ranges.

        The transitions of a range, of so many in all, take about an eighth of the memory.
        """
        count = min(max(8 * _BYTES * rows // memory, 1), max(self.n, 1))
        for low, high in pairwise(self.n * i // count for i in range(count + 1)):
            yield self._violations(low, high)

    def _violations(self, low: int, high: int) -> str:
        rows = f"(SELECT s, block FROM unproved WHERE s >= {low} AND s < {high})"
        same = " AND ".join(f"found.{total} = sums.{total}" for total in self.totals)
        return (
            f"SELECT own.s, own.block FROM {rows} own LEFT JOIN ("
            f"SELECT found.s, count(*) AS entries, count(sums.block) AS agreed FROM "
            f"({self._sums(rows, 's')}) found JOIN {rows} its ON found.s = its.s LEFT JOIN sums "
            f"ON its.block = sums.block AND found.other = sums.other AND {same} "
            f"GROUP BY found.s) matched ON own.s = matched.s "
            "LEFT JOIN expected ON own.block = expected.block "
            "WHERE coalesce(matched.entries, 0) <> coalesce(expected.entries, 0) "
            "OR coalesce(matched.agreed, 0) <> coalesce(matched.entries, 0)"
        )

    def exact_parts(self, keys: list[str]) -> str:
        """The states of violating blocks, with a number that tells their exact sums apart.

        The number is the least state with the same sums; the table ``violating`` lists the blocks.
        """
        pair = ", ".join(["other", *self.totals])
        rows = (
            f"(SELECT final.s, final.block FROM final {self.dialect.semi} violating "
            "ON final.block = violating.block)"
        )
        listed = self.dialect.listed(pair)
        zeros = "".join(f", 0 AS {key}" for key in keys[1:])
        return (
            f"SELECT s, label, min(s) OVER (PARTITION BY label, sums) AS {keys[0]}{zeros} FROM ("
            f"SELECT own.s, blocks.label, listed.sums FROM {rows} own "
            "JOIN blocks ON own.block = blocks.block LEFT JOIN ("
            f"SELECT s, {listed} AS sums FROM ({self._sums(rows, 's')}) GROUP BY s) listed ON own.s = listed.s)"
        )
