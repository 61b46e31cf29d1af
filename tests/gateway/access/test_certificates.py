from __future__ import annotations

import pytest

from gateway.access.certificates import CertificateName, CertificateRule
from gateway.domain.device import Principal

SHOWN = Principal(
    "certificate",
    "dev-1",
    common_name="dev-1",
    dns_names=("dev-1.plant.example", "other.example"),
    uris=("urn:dev:7", "https://example.com/x"),
)


@pytest.mark.parametrize(
    ("source", "prefix", "name"),
    [
        (CertificateName.CN, "", "dev-1"),
        (CertificateName.CN, "dev-", "1"),
        (CertificateName.CN, "gw-", ""),
        (CertificateName.SAN_DNS, "", ""),  # two of them: which one it is nobody can say
        (CertificateName.SAN_DNS, "dev-", "1.plant.example"),
        (CertificateName.SAN_URI, "urn:dev:", "7"),
        (CertificateName.SAN_URI, "spiffe://", ""),
    ],
)
def test_the_rule_says_which_name_is_the_device(source: CertificateName, prefix: str, name: str) -> None:
    assert CertificateRule(source, prefix).name_of(SHOWN) == name


@pytest.mark.parametrize("source", [CertificateName.CN, CertificateName.SAN_DNS, CertificateName.SAN_URI])
def test_a_certificate_without_the_name_names_nobody(source: CertificateName) -> None:
    assert CertificateRule(source).name_of(Principal("certificate", "1.2.3.4")) == ""


def test_it_applies_to_certificates_unless_it_is_off() -> None:
    assert CertificateRule().applies(SHOWN)
    assert not CertificateRule().applies(Principal())
    assert not CertificateRule(CertificateName.OFF).applies(SHOWN)
