"""Proofs that leave the library: certificates, their checker, exports to proof assistants."""

from lumpability.certificate.bounds.certificate import BoundCertificate
from lumpability.certificate.certificate import Certificate
from lumpability.certificate.file import domain_of
from lumpability.certificate.verification import Rejection, Verification

__all__ = ["BoundCertificate", "Certificate", "Rejection", "Verification", "domain_of"]
