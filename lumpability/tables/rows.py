"""The transitions of a table as compressed rows on disk, mapped into memory.

Row s occupies positions ``pointers[s] .. pointers[s+1]`` of the files of targets and codes, as in
`lumpability.structure.WeightedStructure`; a transition takes five bytes where there are at most 256 distinct
rates.  The table is read in its own order if that is by source, and otherwise sorted by DuckDB.  Pages of
the files that were read are given back, so that they do not count as memory of this process.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import smallest_unsigned
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.tables.reading import Edges, coded_rows
from lumpability.tables.session import ROWS, Session

__all__ = ["MappedRows", "write_rows"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Compressed rows, whose targets and codes are files.

    Attributes
    ----------
    structure : WeightedStructure
        Its arrays are the files; parallel transitions are not summed.
    maps : tuple of mmap
    """

    structure: WeightedStructure
    maps: tuple[mmap.mmap, ...]

    def ranges(self, transitions: int) -> Iterator[tuple[int, int]]:
        """Yield ranges of states (low, high) of about so many transitions; give pages back after each."""
        indptr, n = self.structure.indptr, self.structure.n
        low = 0
        while low < n:
            wanted = indptr[low] + transitions
            high = min(max(int(np.searchsorted(indptr, wanted, side="right")) - 1, low + 1), n)
            yield low, high
            self.release()
            low = high

    def release(self) -> None:
        """Give back the pages of the files that were read."""
        for one in self.maps:
            one.madvise(mmap.MADV_DONTNEED)


def write_rows(session: Session, edges: Edges, within: Partition, *, closed: bool) -> MappedRows:
    """Write the rows of a table to files, and map them.

    Parameters
    ----------
    closed : bool
        Whether transitions from a state to itself are left out and the diagonal is implied.
    """
    folder = session.workspace.folder / ROWS
    folder.mkdir(exist_ok=True)
    assert edges.numerators is not None
    positive = np.array([numerator > 0 for numerator in edges.numerators], dtype=bool)
    kind = smallest_unsigned(len(positive))
    query = coded_rows(session, edges)
    lengths = _write(session.batches(query), folder, edges.n, positive, kind, closed=closed)
    if lengths is None:
        ordered = session.batches(f"{query} ORDER BY source, target")
        lengths = _write(ordered, folder, edges.n, positive, kind, closed=closed)
        assert lengths is not None
    indptr = np.zeros(edges.n + 1, dtype=np.int64)
    np.cumsum(lengths, out=indptr[1:])
    (targets, target_map), (codes, code_map) = (
        _mapped(folder / name, dtype)
        for name, dtype in (("targets", np.dtype(np.int32)), ("codes", kind))
    )
    weights = ExactArray(codes, tuple(edges.values))
    structure = WeightedStructure(indptr, targets, weights, within, closed)
    return MappedRows(structure, tuple(one for one in (target_map, code_map) if one is not None))


def _write(
    batches: Iterator[Any], folder: Path, n: int, positive: Array, kind: Any, *, closed: bool
) -> Array | None:
    """Write targets and codes; return the lengths of rows, or None if they are not in the order of sources."""
    lengths = np.zeros(n, dtype=np.uint32)
    last = 0
    with (folder / "targets").open("wb") as targets, (folder / "codes").open("wb") as codes:
        for batch in batches:
            source, target, code = (
                column.to_numpy(zero_copy_only=False) for column in batch.columns
            )
            if len(source) and (source[0] < last or np.any(source[1:] < source[:-1])):
                return None
            last = source[-1] if len(source) else last
            keep = positive[code]
            if closed:
                keep &= source != target
            if not keep.all():
                source, target, code = source[keep], target[keep], code[keep]
            if len(source):
                first = int(source[0])
                counts = np.bincount(source - first)
                lengths[first : first + len(counts)] += counts.astype(np.uint32)
            targets.write(target.astype(np.int32).tobytes())
            codes.write(code.astype(kind).tobytes())
    return lengths


def _mapped(path: Path, dtype: Any) -> tuple[Array, mmap.mmap | None]:
    if not path.stat().st_size:
        return np.empty(0, dtype=dtype), None
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, dtype=dtype), mapped
