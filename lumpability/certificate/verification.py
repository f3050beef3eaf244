"""The result of checking a certificate: what was proved, or what is wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rejection:
    """Why a certificate is rejected.

    Attributes
    ----------
    field : str
        The part of the certificate that does not hold.
    reason : str
        The claim, and what was found instead.
    states : tuple of int
        States of the model that show it, if any.

    Examples
    --------
    >>> print(Rejection("kind", "proportional lumping is for CTMCs"))
    kind: proportional lumping is for CTMCs
    """

    field: str
    reason: str
    states: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


@dataclass(frozen=True)
class Verification:
    """Whether everything that a certificate claims was proved; falsy if not.

    Attributes
    ----------
    sound : bool
        Whether the identity of the kind was proved: the partition is a lumping.
    coarsest : bool
        Whether it was proved that no coarser partition that respects the same is a lumping.
    rejection : Rejection or None
        The claim that does not hold, with the reason.
    text : str
        What was proved and what not, in words.

    Examples
    --------
    >>> wrong = Verification(False, False, Rejection("partition", "two sums differ"), "rejected: ...")
    >>> bool(Verification(True, False, None, "sound")), bool(wrong)
    (True, False)
    """

    sound: bool
    coarsest: bool
    rejection: Rejection | None
    text: str

    @classmethod
    def rejected(cls, field: str, reason: str, *, proved: str = "") -> Verification:
        """Return the refusal of a certificate.

        Parameters
        ----------
        field, reason : str
            The part that does not hold, and why.
        proved : str
            That it is sound all the same, in words that begin the sentence.

        Examples
        --------
        >>> print(Verification.rejected("digest", "it is about another network"))
        rejected: it is about another network
        """
        text = f"rejected: {proved}{reason}"
        return cls(bool(proved), False, Rejection(field, reason), text)

    def __bool__(self) -> bool:
        return self.rejection is None

    def __str__(self) -> str:
        return self.text


class Contradiction(Exception):
    """Something that a certificate claims does not hold; ends the check that finds it."""

    def __init__(self, field: str, reason: str, states: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.rejection = Rejection(field, reason, states)
