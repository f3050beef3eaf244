"""Writing an interval chain in Storm's DRN format, exactly.

Every rate or probability is an interval ``[a, b]`` of fractions (``@value_type: rational-interval``).  Storm reads
the file with ``build_model_from_drn[stormpy.RationalInterval]`` and bounds the probabilities of a DTMC.  What Storm
finds is a cross-check of intervals that are proved here, and no proof.  Rewards are left out: the format has no
intervals for them.
"""

from __future__ import annotations

from pathlib import Path

from lumpability.files import writing
from lumpability.formats.assembly import INITIAL, initial_marks, state_lines
from lumpability.formats.drn_writer import header_text, label_texts, label_word
from lumpability.markov.approximate import Hull
from lumpability.markov.chains import MarkovChain
from lumpability.numbers.exact_array import ExactArray
from lumpability.numbers.rationals import exact_text


def write_interval_drn(hull: Hull, path: str | Path, *, nominal: MarkovChain) -> None:
    """Write the interval hull of a lumping to a ``.drn`` or ``.drn.gz`` file.

    Parameters
    ----------
    hull : Hull
    nominal : CTMC or DTMC
        The quotient on the same blocks, whose names, labels and initial states are written.

    Raises
    ------
    FormatError
        If the file cannot be written, or a label cannot be held by the format.

    Examples
    --------
    >>> import tempfile
    >>> from lumpability import CTMC, lump
    >>> rates = {("a", "c"): 100, ("b", "c"): 101, ("c", "a"): 2, ("c", "b"): 2}
    >>> small = lump(CTMC.from_rates(rates, labels={"goal": ["c"]}), tolerance="1%")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_interval_drn(small.interval, f"{folder}/small.drn", nominal=small.quotient)
    ...     print(Path(f"{folder}/small.drn").read_text().partition("@model")[2])
    <BLANKLINE>
    state 0 ![100,101]
    //[{a, b}]
        action 0
            1 : [100,101]
    state 1 ![4,4] goal
    //[c]
        action 0
            0 : [4,4]
    <BLANKLINE>
    """
    masks = dict(nominal.labels)
    marks = initial_marks(nominal, path)
    if marks is not None:
        masks = {INITIAL: marks, **masks}
    words = {name: label_word(name, path) for name in masks}
    plain = nominal.rebuilt(
        nominal.matrix, states=nominal.states, labels=nominal.labels, validate=False
    )
    names = state_lines(nominal, path)
    texts = label_texts([(words[name], mask) for name, mask in masks.items()], hull.k)
    labels = [""] * hull.k if texts is None else texts.slice(0, hull.k)
    entries = _intervals(hull.lower, hull.upper)
    exits = _intervals(hull.least_outflow, hull.largest_outflow)
    targets = hull.indices.tolist()
    lines = [header_text(plain, path, "rational-interval", masks, words)]
    for block in range(hull.k):
        leaving = f" !{exits[block]}" if hull.time == "continuous" else ""
        lines.append(f"state {block}{leaving}{labels[block]}\n")
        if names is not None:
            lines.append(f"//[{names[block]}]\n")
        lines.append("\taction 0\n")
        places = range(int(hull.indptr[block]), int(hull.indptr[block + 1]))
        lines += [f"\t\t{targets[i]} : {entries[i]}\n" for i in places]
    with writing(path) as handle:
        handle.write("".join(lines).encode())


def _intervals(lower: ExactArray, upper: ExactArray) -> list[str]:
    """Return a text for each pair of ends; Storm ends an exit rate at the first space."""
    return [
        f"[{exact_text(low)},{exact_text(high)}]" for low, high in zip(lower, upper, strict=True)
    ]
