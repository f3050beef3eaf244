"""Whether a certificate of a chain says the truth, decided by definitions: the judge of the attacks.

Nothing of the checker is used but the hash of a chain: matrices are dense, sums run over sets of states, the
coarsest lumping is found among all partitions, and the history is read split by split.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from lumpability.certificate.chain_file import digest_object
from lumpability.certificate.digest import Digest
from lumpability.markov import CTMC, DTMC, MarkovChain, Reward
from lumpability.markov.earned_rewards import earning_rates
from lumpability.partition import Partition
from lumpability.testing.definitions import all_partitions, dense, generator_rows, is_lumping

KINDS = ("ordinary", "bisimulation", "exact", "strict", "proportional")
KEYS = (
    *("format", "version", "domain", "library", "kind", "model", "parameters", "numbers"),
    *("denominator", "reading", "respected", "initial", "partition", "kappa", "quotient"),
    *("matrix", "history"),
)


class Judge:
    """Knows a chain, and says of certificates whether all they claim of it is true."""

    def __init__(self, chain: MarkovChain) -> None:
        self.chain, self.n = chain, chain.n
        self.digest = digest_object(Digest.of(chain))
        self._coarsest: dict[Any, Partition] = {}

    @cached_property
    def rows(self) -> list[list[Fraction]]:
        return generator_rows(self.chain)

    @cached_property
    def denominator(self) -> str:
        return str(math.lcm(*(x.denominator for row in dense(self.chain.matrix) for x in row)))

    def is_right(self, document: Any) -> bool:
        """Whether a certificate, as JSON, is well-formed and true in everything that is proved."""
        try:
            return self._is_right(document)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError):
            return False  # it does not even have the form of one

    def _is_right(self, document: dict[str, Any]) -> bool:
        kind, labels = document["kind"], document["partition"]
        partition = Partition.of(labels, states=self.n)
        initial = document["initial"]
        extra = None if initial is None else Partition.of(initial, states=self.n)
        numbers = [Fraction(text) for text in document["numbers"]]
        if not (
            tuple(document) == KEYS
            and document["format"] == "lumpability/certificate"
            and (document["version"], document["domain"]) == (1, "chain")
            and kind in KINDS
            and not (kind == "proportional" and self.chain.time == "discrete")
            and document["model"] == self.digest
            and document["denominator"] == self.denominator
            and not document["parameters"]
            and partition.labels.tolist() == labels
            and (extra is None or extra.labels.tolist() == initial)
        ):
            return False
        respected = self.respected(document["respected"], kind, extra)
        if not partition.refines(respected) or not is_lumping(self.chain, partition, kind):
            return False
        kappa = document["kappa"]
        if (kappa is not None) != (kind == "proportional"):
            return False
        factors = None if kappa is None else [numbers[code] for code in kappa]
        if factors is not None and not self._scales(partition, factors):
            return False
        quotient = self.quotient(partition, kind, factors)
        if document["quotient"] != digest_object(Digest.of(quotient)):
            return False
        matrix = document["matrix"]
        if matrix is not None and matrix_of(matrix, numbers) != sparse(quotient):
            return False
        history = document["history"]
        return history is None or (
            self.coarsest(kind, respected) == partition
            and self._proves(history, numbers, partition, respected, kind)
        )

    def respected(self, names: list[str], kind: str, extra: Partition | None) -> Partition:
        """Return the partition by labels, rewards and start, and another one."""
        keys: list[list[Any]] = [[] for _ in range(self.n)]
        for name in names:
            sort, _, of = name.partition(":")
            for state, value in enumerate(self._values(sort, of, kind)):
                keys[state].append(value)
        if extra is not None:
            for state, block in enumerate(extra.labels.tolist()):
                keys[state].append(block)
        number: dict[Any, int] = {}
        return Partition.of(
            [number.setdefault(tuple(key), len(number)) for key in keys], states=self.n
        )

    def _values(self, sort: str, of: str, kind: str) -> list[Any]:
        if sort == "label":
            return [bool(x) for x in self.chain.labels[of]]
        if sort == "initial" and not of:
            assert self.chain.initial is not None
            return list(self.chain.initial)
        if sort != "reward":
            raise KeyError(sort)
        reward = self.held(kind)[of]
        return list(zip(*(list(part) for part in reward.parts), strict=True))

    def held(self, kind: str) -> dict[str, Reward]:
        """Return the rewards as a quotient of this kind can keep them."""
        if self.chain.time == "discrete" or kind == "bisimulation":
            return self.chain.rewards
        return {
            name: reward
            if reward.action is None
            else Reward(state=earning_rates(self.chain, reward))
            for name, reward in self.chain.rewards.items()
        }

    def _scales(self, partition: Partition, factors: list[Fraction]) -> bool:
        labels = partition.labels.tolist()
        first = partition.representatives.tolist()
        sums = self._sums(self.rows, partition)
        return min(factors) > 0 and all(
            sums[s][c] == factors[s] * sums[first[labels[s]]][c] and factors[first[labels[s]]] == 1
            for s in range(self.n)
            for c in range(len(partition))
            if c != labels[s]
        )

    @staticmethod
    def _sums(rows: list[list[Fraction]], partition: Partition) -> list[list[Fraction]]:
        blocks = [block.tolist() for block in partition.blocks]
        return [[sum((row[u] for u in block), Fraction(0)) for block in blocks] for row in rows]

    def quotient(
        self, partition: Partition, kind: str, factors: list[Fraction] | None = None
    ) -> MarkovChain:
        """Return the quotient that a lumping of the kind has; of no lumping, what first members say."""
        first = partition.representatives.tolist()
        continuous = self.chain.time == "continuous"
        if kind == "exact":
            blocks = [block.tolist() for block in partition.blocks]
            into = [
                [sum((self.rows[u][first[c]] for u in b), Fraction(0)) for c in range(len(first))]
                for b in blocks
            ]
            sizes = [len(block) for block in blocks]
            rows = [
                [Fraction(sizes[c], sizes[b]) * into[b][c] for c in range(len(first))]
                for b in range(len(first))
            ]
        else:
            source = dense(self.chain.matrix) if kind == "bisimulation" else self.rows
            sums = self._sums(source, partition)
            rows = [sums[s] for s in first]
        if continuous and kind != "bisimulation":
            for b, row in enumerate(rows):
                row[b] = Fraction(0)
        same_time = factors is None or all(factor == 1 for factor in factors)

        def constant(values: list[Any]) -> bool:
            return all(
                values[s] == values[first[b]] for s, b in enumerate(partition.labels.tolist())
            )

        labels = {
            name: np.array(mask)[first]
            for name, mask in self.chain.labels.items()
            if constant(list(mask))
        }
        rewards = {
            name: reward.map(lambda part: part.take(np.array(first)))
            for name, reward in self.held(kind).items()
            if same_time and all(constant(list(part)) for part in reward.parts)
        }
        initial = None
        if self.chain.initial is not None:
            start = list(self.chain.initial)
            initial = [
                sum((start[s] for s in block.tolist()), Fraction(0)) for block in partition.blocks
            ]
        # It need not be a chain, if the partition is not a lumping: only its content counts here.
        result = (CTMC if continuous else DTMC)(np.eye(len(first), dtype=int))
        matrix = CTMC([[abs(x) for x in row] for row in rows]).matrix
        return result.rebuilt(
            matrix, labels=labels, rewards=rewards, initial=initial, validate=False
        )

    def coarsest(self, kind: str, respected: Partition) -> Partition:
        """Return the coarsest of all partitions that are lumpings and refine another."""
        key = kind, respected
        if key not in self._coarsest:
            found = [
                p
                for p in all_partitions(self.n)
                if p.refines(respected) and is_lumping(self.chain, p, kind)
            ]
            self._coarsest[key] = min(found, key=len)
            assert all(p.refines(self._coarsest[key]) for p in found)
        return self._coarsest[key]

    def _proves(
        self,
        history: dict[str, Any],
        numbers: list[Fraction],
        partition: Partition,
        respected: Partition,
        kind: str,
    ) -> bool:
        order = history["order"]
        if sorted(order) != list(range(len(partition))):
            return False
        first = partition.representatives.tolist()
        blocks = [set(block.tolist()) for block in partition.blocks]
        nodes: list[range] = []
        for size in history["roots"]:
            start = nodes[-1].stop if nodes else 0
            nodes.append(range(start, start + size))
        if not nodes or nodes[-1].stop != len(order):
            return len(order) == 0
        classes = [{respected.labels[first[order[i]]] for i in node} for node in nodes]
        if any(len(c) != 1 for c in classes) or len(set.union(*classes)) != len(classes):
            return False
        leaves, sizes = set(range(len(nodes))), iter(history["sizes"])
        codes = iter(history["sums"])
        conditions = history["condition"] or [0] * len(history["split_node"])
        for node, splitter, condition, count in zip(
            *(history["split_node"], history["splitter"], conditions, history["parts"]), strict=True
        ):
            if node not in leaves or splitter >= len(nodes):
                return False
            into = {s for i in nodes[splitter] for s in blocks[order[i]]}
            own = {s for i in nodes[node] for s in blocks[order[i]]}
            if kind == "proportional" and into & own:
                return False
            leaves.remove(node)
            start, seen = nodes[node].start, set()
            for _ in range(count):
                size, total = next(sizes), numbers[next(codes)]
                part = range(start, start + size)
                found = {self._sum(kind, condition, first[order[i]], into, own) for i in part}
                if found != {total} or total in seen:
                    return False
                seen.add(total)
                leaves.add(len(nodes))
                nodes.append(part)
                start += size
            if start != nodes[node].stop or count < 2:
                return False
        return all(len(nodes[leaf]) == 1 for leaf in leaves) and not [*sizes, *codes]

    def _sum(
        self, kind: str, condition: int, state: int, into: set[int], own: set[int]
    ) -> Fraction:
        rows = dense(self.chain.matrix) if kind == "bisimulation" else self.rows
        if kind == "exact" or (kind == "strict" and condition == 1):
            rows = [list(column) for column in zip(*rows, strict=True)]
        elif condition != 0:
            raise IndexError(condition)
        total = sum((rows[state][u] for u in into), Fraction(0))
        if kind != "proportional" or total == 0:
            return total
        return total / sum((rows[state][u] for u in range(self.n) if u not in own), Fraction(0))


def sparse(chain: MarkovChain) -> list[list[tuple[int, Fraction]]]:
    """Return the rows of a chain's matrix without zeros."""
    return [chain.matrix.row(state) for state in range(chain.n)]


def matrix_of(matrix: dict[str, Any], numbers: list[Fraction]) -> list[list[tuple[int, Fraction]]]:
    """Return the rows of the matrix in a certificate."""

    def rows() -> Iterator[list[tuple[int, Fraction]]]:
        entries = list(zip(matrix["targets"], [numbers[c] for c in matrix["weights"]], strict=True))
        for size in matrix["row_sizes"]:
            yield entries[:size]
            del entries[:size]
        if entries:
            raise IndexError("entries without a row")

    return list(rows())
