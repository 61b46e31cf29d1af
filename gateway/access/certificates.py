"""Client certificates: which name of a certificate that TLS has checked is the device's id.

Place in the walk: the first thing that MQTT access looks at, and what a login over TCP is compared with; nothing is
guessed here, so no attempt is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.device import Principal

__all__ = ["CertificateName", "CertificateRule"]


class CertificateName(StrEnum):
    """Where the id stands. off: certificates are checked by TLS and name nobody."""

    CN = "cn"
    SAN_DNS = "san_dns"
    SAN_URI = "san_uri"
    OFF = "off"


@dataclass(slots=True, frozen=True)
class CertificateRule:
    """source: which names count. prefix: what stands before the id in them (`urn:dev:`, `spiffe://plant/`); names
    without it do not count."""

    source: CertificateName = CertificateName.CN
    prefix: str = ""

    def applies(self, principal: Principal) -> bool:
        return principal.kind == "certificate" and self.source is not CertificateName.OFF

    def name_of(self, principal: Principal) -> str:
        """The id; empty where the certificate has no such name, or several."""
        match self.source:
            case CertificateName.SAN_DNS:
                names = principal.dns_names
            case CertificateName.SAN_URI:
                names = principal.uris
            case _:
                names = (principal.common_name,)
        found = {name[len(self.prefix) :] for name in names if name.startswith(self.prefix)}
        return found.pop() if len(found) == 1 else ""
