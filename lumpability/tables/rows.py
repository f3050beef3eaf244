"""The transitions of a table as compressed rows on disk, mapped into memory.

Row s occupies positions ``pointers[s] .. pointers[s+1]`` of the files of targets and codes, as in
`lumpability.structure.WeightedStructure`; a transition takes five bytes where there are at most 256 distinct
rates.  The table is read in its own order if that is by source, and otherwise sorted by DuckDB.  Pages of
the files that were read are given back, so that they do not count as memory of this process.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lumpability.errors import FormatError
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.integers import smallest_unsigned
from lumpability.partition import Partition
from lumpability.structure import WeightedStructure
from lumpability.tables.generator import coded_rows
from lumpability.tables.reading import Edges
from lumpability.tables.session import Session
from lumpability.tables.workspace import ROWS

Array = np.ndarray[Any, Any]
_CHUNK = 1 << 20  # states


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Compressed rows, whose targets and codes are files."""

    structure: WeightedStructure  # its arrays are the files; parallel transitions are not summed
    folder: Path  # of these files
    maps: list[mmap.mmap]
    longest: int  # transitions of a row

    def scratch(self, name: str, size: int, dtype: Any) -> Array:
        """Return an array in a file, zeros, which is read and written in the order of states."""
        with (self.folder / name).open("wb") as file:
            file.truncate(size * np.dtype(dtype).itemsize)
        array, mapped = _mapped(self.folder / name, np.dtype(dtype), mode="r+b")
        self.maps.extend(mapped)
        return array

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

    def transitions_of(self, chosen: Array) -> int:
        """Return how many transitions leave the states of a mask."""
        indptr, total = self.structure.indptr, 0
        for low in range(0, self.structure.n, _CHUNK):
            total += int(np.diff(indptr[low : low + _CHUNK + 1])[chosen[low : low + _CHUNK]].sum())
            self.release()
        return total

    def release(self) -> None:
        """Give back the pages of the files that were read, where the system can."""
        advice = getattr(mmap, "MADV_DONTNEED", None)
        if advice is not None:
            for one in self.maps:
                one.madvise(advice)


def write_rows(session: Session, edges: Edges, *, closed: bool) -> MappedRows:
    """Write the rows of a table to files, and map them.

    - closed: whether transitions from a state to itself are left out and the diagonal is implied
    """
    folder = session.workspace.folder / ROWS
    try:
        folder.mkdir(exist_ok=True)
        return _written_rows(session, edges, folder, closed=closed)
    except OSError as error:
        raise FormatError(
            f"cannot be written: {error.strerror}", path="the working folder (temp)"
        ) from error


def _written_rows(session: Session, edges: Edges, folder: Path, *, closed: bool) -> MappedRows:
    assert edges.numerators is not None
    positive = np.array([numerator > 0 for numerator in edges.numerators], dtype=bool)
    kind = smallest_unsigned(len(positive))
    query = coded_rows(edges)
    with closing(session.batches(query, listed=True)) as listed:
        lengths = _write(listed, folder, edges.n, positive, kind, closed=closed)
    if lengths is None:
        ordered = session.batches(f"{query} ORDER BY source, target")
        lengths = _write(ordered, folder, edges.n, positive, kind, closed=closed)
        assert lengths is not None
    _write_pointers(folder / "pointers", lengths)
    longest = int(lengths.max(initial=0))
    del lengths
    kinds = {"pointers": np.dtype(np.int64), "targets": np.dtype(np.int32), "codes": np.dtype(kind)}
    found = [_mapped(folder / name, dtype) for name, dtype in kinds.items()]
    pointers, targets, codes = (array for array, _ in found)
    maps = [mapped for _, opened in found for mapped in opened]
    weights = ExactArray(codes, tuple(edges.values))
    trivial = Partition.trivial(edges.n)
    structure = WeightedStructure(pointers, targets, weights, trivial, closed)
    return MappedRows(structure, folder, maps, longest)


def _write_pointers(path: Path, lengths: Array) -> None:
    with path.open("wb") as file:
        total = np.zeros(1, dtype=np.int64)
        file.write(total.tobytes())
        for low in range(0, len(lengths), _CHUNK):
            ends = np.cumsum(lengths[low : low + _CHUNK], dtype=np.int64) + total
            file.write(ends.tobytes())
            total = ends[-1:]


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


def _mapped(path: Path, dtype: Any, mode: str = "rb") -> tuple[Array, list[mmap.mmap]]:
    """Return the numbers of a file and what maps it into memory; nothing does if it is empty."""
    if not path.stat().st_size:
        return np.empty(0, dtype=dtype), []
    access = mmap.ACCESS_READ if mode == "rb" else mmap.ACCESS_WRITE
    with path.open(mode) as file:
        mapped = mmap.mmap(file.fileno(), 0, access=access)
    return np.frombuffer(mapped, dtype=dtype), [mapped]
