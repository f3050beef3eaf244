"""Attacks on certificates of networks: every claim changed, every weight moved, every seal forged.

    python tests/networks/network_attacks.py

lumps small networks, one for each kind of layer (`small_networks`), changes certificate, network or quotient
in one place by as little as possible, seals the result with the right digests, and asks the checker.
A mutant that is accepted must still be right: lumping its network from scratch must give the same
classes, factors (up to a common multiple in a class), constants and quotient.  Prints the counts and keeps them in
docs/guides/network-attacks.txt.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from small_networks import NETWORKS, lumped

from lumpability import lump
from lumpability.errors import FormatError, InvalidInput
from lumpability.networks import Network, NetworkCertificate, NetworkLumping
from lumpability.networks.claims import LayerClaim, Subject, network_digest
from lumpability.networks.elementwise import Activate, Scale, Softmax
from lumpability.networks.joins import Join
from lumpability.networks.layers import BatchNorm, Conv, Layer
from lumpability.networks.pooling import AveragePool, GlobalPool, MaxPool
from lumpability.networks.reshape import Reshape, Transpose
from lumpability.partition import Partition

TINY = Fraction(1, 2**70)
RESULTS = Path(__file__).parents[2] / "docs" / "guides" / "network-attacks.txt"


@dataclass(frozen=True, eq=False)
class Mutant:
    """A certificate that does not belong to a network and its quotient, or hardly."""

    attack: str
    certificate: NetworkCertificate
    network: Network
    quotient: Network


def mutants(lumping: NetworkLumping) -> Iterator[Mutant]:
    """Every attack on the claims, the digests, the network and the quotient."""
    whole = lumping.certificate()
    network, quotient = lumping.network, lumping.quotient
    for number, claim in enumerate(whole.layers):
        for attack, other in _changed_claims(claim):
            yield Mutant(attack, _with_claim(whole, number, other), network, quotient)
    for attack, other_certificate in _changed_heads(whole):
        yield Mutant(attack, other_certificate, network, quotient)
    for forged in _changed_networks(quotient):
        sealed = replace(whole, reduced=Subject.of(forged))
        yield Mutant("change the quotient", sealed, network, forged)
    for forged in _changed_networks(network):
        sealed = replace(whole, original=Subject.of(forged))
        yield Mutant("change the network", sealed, forged, quotient)


def verdict(mutant: Mutant) -> str:
    """Return "rejected", or "still right" if the mutant is accepted and lumping anew confirms it."""
    if not mutant.certificate.verify(mutant.network, mutant.quotient):
        return "rejected"
    claims = mutant.certificate.layers
    antiparallel = any(claim.antiparallel for claim in claims)
    anew = lump(mutant.network, kind=mutant.certificate.kind, antiparallel=antiparallel)
    same = network_digest(anew.quotient) == network_digest(mutant.quotient) and all(
        _same_claim(claim, found) for claim, found in zip(claims, anew.stages, strict=True)
    )
    return "still right" if same else "wrongly accepted"


def _same_claim(claim: LayerClaim, found: Any) -> bool:
    firsts = claim.partition.representatives[claim.partition.labels]
    ratios, expected = (one.factors / one.factors[firsts] for one in (claim, found))
    return (
        claim.partition == found.partition
        and ratios.tolist() == expected.tolist()
        and claim.constants == found.constants
        and claim.live.tolist() == found.live.tolist()
    )


def with_layer(certificate: NetworkCertificate, number: int, **changes: Any) -> NetworkCertificate:
    """Change the claim about one layer."""
    return _with_claim(certificate, number, replace(certificate.layers[number], **changes))


def _with_claim(whole: NetworkCertificate, number: int, claim: LayerClaim) -> NetworkCertificate:
    layers = [*whole.layers]
    layers[number] = claim
    return replace(whole, layers=tuple(layers))


def _changed_claims(claim: LayerClaim) -> Iterator[tuple[str, LayerClaim]]:
    yield from _changed_classes(claim)
    yield from _changed_factors(claim)
    yield from _changed_constants(claim)
    for number in range(len(claim.live)):
        live = claim.live.copy()
        live[number] = not live[number]
        yield "call a live class dead or a dead one live", replace(claim, live=live)
    reasons = {"output", "before Softmax", None} - {claim.held}
    admitted = {"any nonzero factor", "positive factors", "equal rows only", None} - {claim.admits}
    for held in sorted(reasons, key=str):
        yield "change a rule", replace(claim, held=held)
    for admits in sorted(admitted, key=str):
        yield "change a rule", replace(claim, admits=admits)
    yield "change a rule", replace(claim, antiparallel=not claim.antiparallel)
    yield "change a rule", replace(claim, layer=claim.layer + 1)


def _changed_classes(claim: LayerClaim) -> Iterator[tuple[str, LayerClaim]]:
    labels = np.array(claim.partition.labels)
    for a in range(len(claim.partition)):
        for b in range(a):
            yield "merge two classes", _with_labels(claim, np.where(labels == a, b, labels))
    for unit in range(claim.partition.n):
        for target in range(len(claim.partition) + 1):
            if target != labels[unit]:
                moved = labels.copy()
                moved[unit] = target
                if Partition(moved) != claim.partition:
                    attack = "move a neuron" if target in labels else "split a class"
                    yield attack, _with_labels(claim, moved)


def _with_labels(claim: LayerClaim, labels: Any) -> LayerClaim:
    """Change the classes; each new one is dead or live like the old class of its first member."""
    partition = Partition(labels)
    live = claim.live[claim.partition.labels[partition.representatives]]
    return replace(claim, partition=partition, live=live)


def _changed_factors(claim: LayerClaim) -> Iterator[tuple[str, LayerClaim]]:
    factors = claim.factors
    for unit, factor in enumerate(factors.tolist()):
        others = {1 / factor, -factor, 2 * factor, factor + TINY, Fraction(1)} - {factor}
        for other in sorted(others):
            changed = factors.copy()
            changed[unit] = other
            yield "c to 1/c and other factors", replace(claim, factors=changed)
        for other_unit in range(unit):
            if factors[other_unit] != factor:
                swapped = factors.copy()
                swapped[[unit, other_unit]] = factors[[other_unit, unit]]
                yield "swap two factors", replace(claim, factors=swapped)
    zero = factors.copy()
    if len(zero):
        zero[0] = Fraction(0)
        yield "c to 1/c and other factors", replace(claim, factors=zero)


def _changed_constants(claim: LayerClaim) -> Iterator[tuple[str, LayerClaim]]:
    for unit in range(claim.partition.n):
        constants = dict(claim.constants)
        if unit in constants:
            constants[unit] += TINY
            yield "change, drop or invent a constant", replace(claim, constants=dict(constants))
            del constants[unit]
        else:
            constants[unit] = Fraction(0)
        yield "change, drop or invent a constant", replace(claim, constants=constants)


def _changed_heads(whole: NetworkCertificate) -> Iterator[tuple[str, NetworkCertificate]]:
    layers = whole.layers
    for number in range(len(layers)):
        dropped = (*layers[:number], *layers[number + 1 :])
        yield "drop, repeat or swap layers", replace(whole, layers=dropped)
        twice = (*layers[:number], layers[number], *layers[number:])
        yield "drop, repeat or swap layers", replace(whole, layers=twice)
        for other in range(number):
            swapped = [*layers]
            swapped[number], swapped[other] = layers[other], layers[number]
            yield "drop, repeat or swap layers", replace(whole, layers=tuple(swapped))
    kind = "exact" if whole.kind == "proportional" else "proportional"
    yield "change the kind", replace(whole, kind=kind)
    yield "change the rounding", replace(whole, largest_change=whole.largest_change + TINY)
    for name in ("original", "reduced"):
        subject = getattr(whole, name)
        other_digest = subject.digest[:-1] + ("0" if subject.digest[-1] != "0" else "1")
        yield "forge a digest", replace(whole, **{name: replace(subject, digest=other_digest)})
        more = replace(subject, hidden_neurons=subject.hidden_neurons + 1)
        yield "forge a digest", replace(whole, **{name: more})
    yield "forge a digest", replace(whole, original=whole.reduced, reduced=whole.original)


def _changed_networks(network: Network) -> Iterator[Network]:
    for position, layer in enumerate(network.layers):
        for other in changed_layers(layer):
            changed = (*network.layers[:position], other, *network.layers[position + 1 :])
            try:
                yield replace(network, layers=changed)
            except InvalidInput:  # a setting that does not fit the layers after it
                continue


def changed_layers(layer: Layer) -> Iterator[Layer]:
    """Every layer that differs in one stored number or setting, by as little as possible."""
    if isinstance(layer, Join):
        for b, branch in enumerate(layer.branches):
            for i, inner in enumerate(branch):
                for other in changed_layers(inner):
                    changed = (*branch[:i], other, *branch[i + 1 :])
                    yield Join((*layer.branches[:b], changed, *layer.branches[b + 1 :]))
        return
    for name, values in layer.parameters.items():
        for index in np.ndindex(values.shape):
            for towards in (-np.inf, np.inf):
                array = values.copy()
                array[index] = np.nextafter(array[index], values.dtype.type(towards))
                yield replace(layer, **{name: array})  # type: ignore[type-var]
    for kind, change in CHANGES:
        if isinstance(layer, kind):
            yield change(layer)
    if isinstance(layer, Activate) and "alpha" in layer.function.parameters:
        alpha = layer.function.parameters["alpha"]
        yield Activate(layer.function.name, alpha=float(np.nextafter(alpha, 1)))


CHANGES: list[tuple[type[Layer], Callable[[Any], Layer]]] = [
    (BatchNorm, lambda layer: replace(layer, epsilon=float(np.nextafter(layer.epsilon, 2)))),
    (Scale, lambda layer: replace(layer, divide=not layer.divide)),
    (Activate, lambda layer: Activate("sigmoid")),
    (Transpose, lambda layer: Reshape((0, 5, 2))),  # the same shape, other places
    (AveragePool, lambda layer: replace(layer, include_pad=not layer.include_pad)),
    (AveragePool, lambda layer: MaxPool(layer.kernel, layer.strides, layer.pads)),
    (GlobalPool, lambda layer: GlobalPool(maximum=not layer.maximum)),
    (MaxPool, lambda layer: replace(layer, pads=((0, 1),))),
    (MaxPool, lambda layer: replace(layer, ceil=not layer.ceil)),
    (Softmax, lambda layer: Softmax(axis=0)),
    (Conv, lambda layer: replace(layer, dilations=(2,), pads=((layer.pads[0][0] + 1, 0),))),
]


def damaged_files(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Every way to cut a file off or to change one of its bytes; and lines out of order or twice."""
    for end in range(len(text.rstrip())):
        yield "truncate the file", text[:end]
    for place in range(len(text)):
        for other in b'0x"':
            if text[place] != other:
                yield "change a byte", text[:place] + bytes([other]) + text[place + 1 :]
    lines = text.split(b"\n")
    for number in range(len(lines) - 1):
        twice = [*lines[: number + 1], *lines[number:]]
        yield "repeat, drop or reorder lines", b"\n".join(twice)
        yield "repeat, drop or reorder lines", b"\n".join([*lines[:number], *lines[number + 1 :]])
        swapped = [*lines]
        swapped[number : number + 2] = reversed(swapped[number : number + 2])
        yield "repeat, drop or reorder lines", b"\n".join(swapped)


def file_verdict(lumping: NetworkLumping, text: bytes, folder: Path) -> str:
    """Read a damaged file and ask the checker; what is accepted must say the same as the whole one."""
    path = folder / "damaged.json"
    path.write_bytes(text)
    try:
        found = NetworkCertificate.read(path)
    except FormatError:
        return "rejected"
    return verdict(Mutant("", found, lumping.network, lumping.quotient))


def main() -> None:
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for network in NETWORKS:
            lumping = lumped(network)
            for mutant in mutants(lumping):
                counts.setdefault(mutant.attack, Counter())[verdict(mutant)] += 1
        for network in ("reflected", "constant", "dead"):
            lumping = lumped(network)
            lumping.certificate().write(folder / "whole.json")
            for attack, text in damaged_files((folder / "whole.json").read_bytes()):
                outcome = file_verdict(lumping, text, folder)
                counts.setdefault(attack, Counter())[outcome] += 1
    outcomes = ("rejected", "still right", "wrongly accepted")
    counts["all"] = sum(counts.values(), Counter())
    lines = [
        f"Attacks on the certificates of {len(NETWORKS)} small networks",
        "",
        f"| attack | mutants | {' | '.join(outcomes)} |",
        "|---|---|---|---|---|",
    ]
    for attack, found in counts.items():
        cells = [found.total(), *(found[outcome] for outcome in outcomes)]
        lines.append(f"| {attack} | {' | '.join(f'{cell:,}' for cell in cells)} |")
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
