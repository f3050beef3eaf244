"""Certificates of tables: what a lumping of an edge table claims, and the check on the table itself.

The blocks are in a Parquet file of their own, which the certificate identifies by a hash of their numbers in
the order of states; the quotient it identifies by a hash of its transitions.  The check reads the tables,
requires that the blocks list every state once, are numbered by least members and do not mix what is respected,
and compares the exact sums of all members (`proof`).  That proves the partition to be a lumping.  That it is
the coarsest is not claimed.  Nothing here knows how the partition was found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from lumpability.certificate.file import Reader, plain, read_document, write_document
from lumpability.certificate.json_stream import Scanner
from lumpability.certificate.kinds import KINDS
from lumpability.certificate.verification import Contradiction, Verification
from lumpability.errors import FormatError
from lumpability.files import reading
from lumpability.numbers.rationals import DEFAULT_TOLERANCE
from lumpability.tables.dialects import DUCKDB
from lumpability.tables.generator import TABLE_KINDS, quotient_rows, write_generator
from lumpability.tables.initial import respected_columns, write_initial_state
from lumpability.tables.output import quotient_schema
from lumpability.tables.proof import Proof
from lumpability.tables.reading import Edges, key_of, opened
from lumpability.tables.session import Session
from lumpability.version import __version__

_MEMORY = 2 << 30  # bytes
_MOST_COLUMNS = 10_000


def digest_of_blocks(batches: Iterable[Any]) -> str:
    """Return the SHA-256 of the numbers of blocks, eight bytes each, the lowest first."""
    found = hashlib.sha256()
    for batch in batches:
        found.update(batch.column("block").to_numpy().astype("<i8").tobytes())
    return found.hexdigest()


def digest_of_quotient(batches: Iterable[Any]) -> str:
    """Return the SHA-256 of the quotient's transitions: lines of source, target, numerator and denominator."""
    found = hashlib.sha256()
    for batch in batches:
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        found.update("".join(f"{s} {t} {int(a)} {int(b)}\n" for s, t, a, b in rows).encode())
    return found.hexdigest()


@dataclass(frozen=True)
class TableCertificate:
    """The claims of a lumping of an edge table.

    Attributes
    ----------
    kind : str
    time : {"continuous", "discrete"}
    states, transitions, blocks : int
    denominator : int
        The common denominator of the rates.
    respected : tuple of str
        Columns of the table of states that are constant on blocks.
    partition, quotient : str
        Hashes of the numbers of the blocks, and of the transitions between them.
    library : str
        The version of the library that made the certificate.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability.markov.examples import components
    >>> from lumpability.tables import lump_table, write_chain
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     edges, states = f"{folder}/edges.parquet", f"{folder}/states.parquet"
    ...     blocks, proof = f"{folder}/blocks.parquet", f"{folder}/proof.json"
    ...     write_chain(components(3), edges, states)
    ...     _ = lump_table(edges, states=states, output=blocks, certificate=proof)
    ...     print(TableCertificate.read(proof).verify(edges, blocks, states=states))
    ordinary, proved: Q V = V Q^ holds exactly, with 10 blocks of 27 states
    """

    domain: ClassVar[str] = "table"
    kind: str
    time: str
    states: int
    transitions: int
    denominator: int
    respected: tuple[str, ...]
    blocks: int
    partition: str
    quotient: str
    library: str = __version__

    def write(self, path: str | Path) -> None:
        """Write a ``.json`` file, whole or not at all.

        Raises `FormatError` if it cannot be written.
        """
        items = asdict(self) | {"denominator": str(self.denominator)}
        write_document(path, self.domain, [(key, plain(value)) for key, value in items.items()])

    @classmethod
    def read(cls, path: str | Path, *, max_bytes: int | None = None) -> TableCertificate:
        """Read a file of `write`; only `verify` decides whether its claims hold.

        Raises `FormatError` if it is not a certificate of a table.
        """
        return read_document(path, cls.domain, _claims, max_bytes=max_bytes)

    def verify(
        self,
        edges: str | Path,
        blocks: str | Path,
        *,
        states: str | Path | None = None,
        quotient: str | Path | None = None,
        table: str = "edges",
        float_tolerance: float = DEFAULT_TOLERANCE,
        memory: int | str = _MEMORY,
        threads: int | None = None,
        temp: str | Path | None = None,
    ) -> Verification:
        """Check all claims on the tables, in exact arithmetic, without an engine.

        Parameters
        ----------
        edges, states, table, float_tolerance
            As for `lump_table`.
        blocks : path
            The file of blocks that the certificate is about.
        quotient : path, optional
            A file that must hold the quotient of the certificate, as `lump_table` writes it.
        memory : int or str
            As for `lump_table`; what does not fit goes to disk, in `temp`.

        Returns
        -------
        Verification
            Falsy if a claim does not hold; ``rejection`` says which.

        Raises
        ------
        FormatError, InvalidInput
            If a file cannot be read.
        """
        given: dict[str, Any] = {
            "table": table,
            "time": self.time,
            "float_tolerance": float_tolerance,
        }
        limits: dict[str, Any] = {"memory": memory, "threads": threads, "temp": temp}
        with opened(edges, states, **limits, **given) as (session, read):
            listed = None if states is None else Path(states)
            check = _Check(self, session, read, listed, float_tolerance)
            try:
                check.run(Path(blocks))
                if quotient is not None:
                    check.compare_quotient(Path(quotient))
            except Contradiction as wrong:
                text = f"rejected: {wrong.rejection}"
                return Verification(False, False, wrong.rejection, text)
        matrix, rates = ("Q", "R") if self.time == "continuous" else ("P", "P")
        identity = KINDS[self.kind].identity.format(M=matrix, R=rates)
        text = (
            f"{self.kind}, proved: {identity} holds exactly, with {self.blocks} blocks of "
            f"{self.states} states"
        )
        return Verification(True, False, None, text)


def _claims(scanner: Scanner) -> TableCertificate:
    """Read what follows the head of the file."""
    reader = Reader(scanner)
    return TableCertificate(
        kind=reader.kind(TABLE_KINDS),
        time=_time(reader),
        states=reader.next("states").integer(),
        transitions=reader.next("transitions").integer(),
        denominator=reader.whole(reader.next("denominator").text()),
        respected=tuple(reader.next("respected").texts(_MOST_COLUMNS)),
        blocks=reader.next("blocks").integer(),
        partition=reader.next("partition").text(),
        quotient=reader.next("quotient").text(),
        library=reader.next("library").text(),
    )


def _time(reader: Reader) -> str:
    time = reader.next("time").text()
    if time not in ("continuous", "discrete"):
        reader.fail(f"is about {time[:60]!r} time, not continuous or discrete")
    return time


@dataclass(frozen=True)
class _Check:
    """The check of a certificate, on tables that have been read."""

    claims: TableCertificate
    session: Session
    edges: Edges
    states: Path | None
    float_tolerance: float

    def run(self, blocks: Path) -> None:
        """Raise `Contradiction` for the first claim that does not hold."""
        claims, edges = self.claims, self.edges
        for field, found in (
            ("states", edges.n),
            ("transitions", edges.rows),
            ("denominator", edges.denominator),
        ):
            if getattr(claims, field) != found:
                raise Contradiction(
                    field,
                    f"the table has {found}, and the certificate says {getattr(claims, field)}",
                )
        self._check_respected_before(blocks)
        rows, moduli = write_generator(self.session, edges, claims.kind)
        proof = Proof(DUCKDB, edges.n, moduli)
        for name, query in proof.tables().items():
            self.session.store(name, query, temporary=True)
        for violations in proof.violations(rows, self.session.memory):
            wrong = self.session.run(f"{violations} ORDER BY own.s LIMIT 1")
            for state, block in wrong:
                least = self.session.value(f"SELECT least FROM blocks WHERE block = {block}")
                names = (repr(key_of(self.session, edges, s)) for s in (state, least))
                raise Contradiction(
                    "partition",
                    f"states {' and '.join(names)} share block {block}, but their sums into blocks differ",
                    (int(least), int(state)),
                )
        self._check_digests(moduli)

    def compare_quotient(self, path: Path) -> None:
        """Raise `Contradiction` if a file does not hold the certified quotient."""
        with reading(path):
            relation = self.session.relation(path, "quotient", "given_quotient", text=())
            wanted = quotient_schema().names
            if list(self.session.columns(relation)) != wanted:
                raise FormatError(f"has not the columns {', '.join(wanted)}", path=path)
            rows = self.session.batches(f"SELECT * FROM {relation} ORDER BY source, target")
            if digest_of_quotient(rows) != self.claims.quotient:
                raise Contradiction(
                    "quotient", "the file of the quotient is not the one that was certified"
                )

    def _check_respected_before(self, path: Path) -> None:
        """Read the blocks into the table ``state``; check that they list all states and mix nothing respected."""
        session, edges, claims = self.session, self.edges, self.claims
        known = respected_columns(edges, ("labels", "rewards", "initial"), ())
        missing = sorted(set(claims.respected) - set(known))
        if missing:
            raise Contradiction("respected", f"the table of states has no column {missing[0]!r}")
        write_initial_state(
            session, edges, list(claims.respected), self.states, self.float_tolerance
        )
        session.run("ALTER TABLE state RENAME TO respected")
        with reading(path):
            relation = session.relation(path, "blocks", "given_blocks", text=())
            columns = session.columns(relation)
            if not {"state", "block"} <= set(columns):
                raise FormatError("has no columns 'state' and 'block'", path=path)
            number, join = edges.number_of("b.state", "numbers")
            session.store(
                "state",
                f"SELECT CAST({number} AS BIGINT) AS s, CAST(b.block AS BIGINT) AS label FROM {relation} b{join}",
            )
            listed = session.value(f"SELECT count(*) FROM {relation}")
        rows, distinct, low, high = session.run(
            "SELECT count(*), count(DISTINCT s), coalesce(min(s), 0), coalesce(max(s), -1) FROM state"
        )[0]
        if not listed == rows == distinct == edges.n or low != 0 or high != edges.n - 1:
            raise Contradiction(
                "partition", f"the blocks do not list each of {edges.n} states once"
            )
        mixed = session.run(
            "SELECT state.label, min(state.s), max(state.s) FROM state JOIN respected "
            "ON state.s = respected.s GROUP BY state.label "
            "HAVING min(respected.label) <> max(respected.label) LIMIT 1"
        )
        if mixed:
            raise Contradiction(
                "respected",
                f"block {mixed[0][0]} mixes states that differ in {', '.join(claims.respected)}",
                (int(mixed[0][1]), int(mixed[0][2])),
            )

    def _check_digests(self, moduli: tuple[int, ...]) -> None:
        session, claims = self.session, self.claims
        blocks, renamed = session.run(
            "SELECT count(*), count(*) FILTER (WHERE label <> block) FROM blocks"
        )[0]
        if renamed or blocks != claims.blocks:
            raise Contradiction(
                "blocks", f"there are not {claims.blocks} blocks, numbered by their least members"
            )
        found = digest_of_blocks(session.batches("SELECT block FROM final ORDER BY s"))
        if found != claims.partition:
            raise Contradiction("partition", "the file of blocks is not the one that was certified")
        entries = quotient_rows(session, self.edges, claims.kind, moduli)
        if digest_of_quotient(entries) != claims.quotient:
            raise Contradiction(
                "quotient", "the sums of the blocks are not those that were certified"
            )
