"""Certificates of network lumpings: their claims, and a checker that needs nothing else.

A certificate holds the classes, factors, constants and dead classes of every layer with weights, digests of
the network and of its quotient, and the rules under which the classes are the coarsest.  `verify` reads the
weights from the network itself and proves three things in exact arithmetic.

Soundness (`lumpability.networks.soundness`): the identity of every layer holds, so the quotient computes the
same function for every input.  The stored quotient (`lumpability.networks.stored_quotient`), if it is given,
is the quotient of the certificate.  Coarseness (`lumpability.networks.coarseness`): no two classes of a layer
could be merged.

Nothing here uses the engine or the code that found the classes and made the quotient.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from lumpability.certificate.export import write_statement
from lumpability.certificate.export.statement import NetworkStatement
from lumpability.certificate.verification import Verification
from lumpability.errors import InvalidInput
from lumpability.networks.bound_claims import BoundClaim, NewWeights, bind
from lumpability.networks.claims import (
    LayerClaim,
    NetworkClaims,
    Subject,
    read_network_claims,
    write_network_claims,
)
from lumpability.networks.coarseness import improvable
from lumpability.networks.identities import network_statement
from lumpability.networks.network import Network
from lumpability.networks.soundness import unsound
from lumpability.networks.stored_quotient import StoredQuotient
from lumpability.networks.weight_stages import stages_of

_SOUND = "the classes are a lumping, but "


class NetworkCertificate(NetworkClaims):
    """The claims of a network lumping, and their check.

    Attributes
    ----------
    kind : str
        "proportional" or "exact".
    original, reduced : Subject
        The network and its quotient.
    layers : tuple of LayerClaim
        One for each layer with weights.
    largest_change : Fraction
        Largest difference between an exact number of the quotient and the stored one (0: nothing rounded).
    library : str
        The version of the library that made the certificate.
    network, quotient : Network or None
        The networks, if they are in memory; a certificate from a file does not hold them.

    Examples
    --------
    >>> from lumpability import lump
    >>> network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
    >>> print(lump(network).certificate().verify())
    proportional, proved: A W = W^ A and b = b^ A hold exactly in all 2 layers, the reduced network holds W^
    and b^, and no two of 2 classes can be merged
    """

    def verify(self, model: Network | None = None, quotient: Network | None = None) -> Verification:
        """Check every claim; a falsy verification says which layer and unit fail.

        Parameters
        ----------
        model : Network, optional
            The network that was lumped; may be left out if the certificate holds it.
        quotient : Network, optional
            Its quotient.  Without it, here and in the certificate, stored weights are not checked.

        Returns
        -------
        Verification
            ``sound``: the identity of every layer holds.  ``coarsest``: under the rules of the
            certificate no coarser lumping exists.

        Raises
        ------
        InvalidInput
            If no network is given, and the certificate holds none.

        Notes
        -----
        About one pass over all weights, and one more for the digests.
        """
        network = self.network if model is None else model
        reduced = self.quotient if quotient is None else quotient
        if network is None:
            raise InvalidInput(
                "a certificate from a file needs the network that it is about: give it"
            )
        wrong = _other_subject(self.original, network, "network")
        if wrong is None and reduced is not None:
            wrong = _other_subject(self.reduced, reduced, "reduced network")
        if wrong is not None:
            return Verification.rejected("digest", wrong)
        stages = stages_of(network)
        if len(stages) != len(self.layers):
            count = (
                f"the network has {len(stages)} layers with weights, the claim {len(self.layers)}"
            )
            return Verification.rejected("layers", count)
        bound = bind(self.layers, stages, self.kind)
        wrong = _first_problem(bound)
        if wrong is not None:
            return Verification.rejected("layers", wrong)
        weights = [one.weights() for one in bound]
        if reduced is not None:
            wrong = _not_stored(network, reduced, bound, weights, self.largest_change)
            if wrong is not None:
                return Verification.rejected("reduced", wrong, proved=_SOUND)
        for number, one in enumerate(bound):
            above = weights[number + 1] if number + 1 < len(bound) else None
            wrong = improvable(one, above)
            if wrong is not None:
                return Verification.rejected(
                    "layers", f"layer {one.stage.position}: {wrong}", proved=_SOUND
                )
        classes = sum(len(one.partition) for one in bound)
        stored = "the reduced network holds W^ and b^, " if reduced is not None else ""
        text = (
            f"{self.kind}, proved: A W = W^ A and b = b^ A hold exactly in all {len(bound)} layers, "
            f"{stored}and no two of {classes} classes can be merged"
        )
        return Verification(True, True, None, text)

    def write(self, path: str | Path) -> None:
        """Write a ``.json`` or ``.json.gz`` file, whole or not at all; some bytes for each neuron.

        Raises
        ------
        FormatError
            If it cannot be written.
        """
        write_network_claims(self, path)

    @classmethod
    def read(cls, path: str | Path, *, max_bytes: int | None = None) -> NetworkCertificate:
        """Read a file of `write`, as a stream; only `verify` decides whether its claims hold.

        Parameters
        ----------
        path : str or Path
        max_bytes : int, optional
            Of the text after unpacking, in place of the limits by default.

        Raises
        ------
        FormatError
            If it is not a certificate of a network, or has another version.
        SizeLimit
            If it is too large.
        """
        return cls(**vars(read_network_claims(path, max_bytes=max_bytes)))

    def statement(
        self, model: Network | None = None, quotient: Network | None = None
    ) -> NetworkStatement:
        """Return the identities as ones between matrices of integers, after verifying the certificate.

        Parameters
        ----------
        model, quotient : Network, optional
            May be left out if the certificate holds them.

        Raises
        ------
        InvalidInput
            For other networks, or a certificate that does not hold.
        SizeLimit
            If a layer is too large for a proof assistant.
        NotJustified
            If the lumping has no identity layer by layer.
        """
        network = self.network if model is None else model
        reduced = self.quotient if quotient is None else quotient
        if network is None or reduced is None:
            raise InvalidInput("a certificate from a file needs both networks: give them")
        verification = self.verify(network, reduced)
        if not verification:
            raise InvalidInput(
                f"the certificate does not hold, and is not exported: {verification}",
                rejection=verification.rejection,
            )
        return network_statement(
            network, reduced, self.layers, self.kind, largest_change=self.largest_change
        )

    def export(
        self, language: str, model: Network | None = None, quotient: Network | None = None
    ) -> str:
        """Return a file in the language of a proof assistant that states and proves the identities.

        Parameters
        ----------
        language : {"coq"}
        model, quotient : Network, optional
            May be left out if the certificate holds them.

        Raises
        ------
        InvalidInput, SizeLimit, NotJustified
            As `statement`; or for another language.

        Examples
        --------
        >>> from lumpability import lump
        >>> network = Network.dense([([[1, 2]], None, "relu"), ([[1], [1]], None, None)])
        >>> lump(network).certificate().export("coq").splitlines()[0]
        '(* network, proportional lumping'
        """
        return write_statement(self.statement(model, quotient), language)

    def __repr__(self) -> str:
        before, after = self.original.hidden_neurons, self.reduced.hidden_neurons
        return f"NetworkCertificate({self.kind}: {before} -> {after} hidden neurons)"


def refute(
    network: Network,
    quotient: Network,
    claims: Sequence[LayerClaim],
    kind: str,
    largest_change: Fraction,
) -> str | None:
    """Return what is wrong with a quotient, or None if it was proved to compute the same function.

    These are the first two of the three checks of `NetworkCertificate.verify`, without digests.
    """
    bound = bind(claims, stages_of(network), kind)
    wrong = _first_problem(bound)
    if wrong is not None:
        return wrong
    return _not_stored(network, quotient, bound, [one.weights() for one in bound], largest_change)


def _first_problem(bound: Sequence[BoundClaim]) -> str | None:
    for one in bound:
        wrong = unsound(one)
        if wrong is not None:
            return f"layer {one.stage.position}: {wrong}"
    return None


def _not_stored(
    network: Network,
    quotient: Network,
    bound: Sequence[BoundClaim],
    weights: Sequence[NewWeights],
    largest_change: Fraction,
) -> str | None:
    stored = StoredQuotient(network, quotient, tuple(bound), tuple(weights))
    problem = stored.problem()
    if problem is None and stored.largest_change != largest_change:
        return f"rounding changed a number by {stored.largest_change}, not {largest_change}"
    return problem


def _other_subject(claimed: Subject, network: Network, name: str) -> str | None:
    found = Subject.of(network)
    if found == claimed:
        return None
    if found.digest == claimed.digest:
        return f"the {name} has {found.hidden_neurons} hidden neurons, not {claimed.hidden_neurons}"
    return f"it is about another {name}: its digest is {claimed.digest}, not {found.digest}"
