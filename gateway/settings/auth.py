"""Who may send, and what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from gateway.settings.section import FilePath, Section

TopicFilters = Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=256)]


class TopicRuleSettings(Section):
    """What devices may publish and subscribe to beside their own topics; `{device_id}` and `{client_id}` stand for
    their own. Only for `devices: credentials`."""

    publish: TopicFilters = Field(default=[], description="Topic filters that every device may publish to.")
    subscribe: TopicFilters = Field(default=[], description="Topic filters that every device may subscribe to.")


class ClientSettings(Section):
    """A client that is no device: a backend, a bridge."""

    id: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Its user name and MQTT client id.")
    password: SecretStr = Field(description="Hash of its password (`iotlink devices password` makes one).")
    publish: TopicFilters = Field(default=[], description="Topic filters that it may publish to.")
    subscribe: TopicFilters = Field(default=[], description="Topic filters that it may subscribe to.")


class JwtSettings(Section):
    """An issuer of JSON Web Tokens. MQTT clients give the token as their password."""

    issuer: Annotated[str, Field(min_length=1)] = Field(description="`iss` of its tokens.")
    audience: Annotated[str, Field(min_length=1)] = Field(description="What must stand in `aud`.")
    jwks_url: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        default=None, description="Where its public keys are."
    )
    jwks_file: FilePath | None = Field(default=None, description="The same as a file.")
    device_claim: Annotated[str, Field(min_length=1)] = Field(
        default="sub", description="The claim that holds the device's id."
    )


class AuthSettings(Section):
    """Who may send. Must be written down before a listener may bind off loopback."""

    devices: Literal["open", "credentials"] = Field(
        default="open",
        description="`open`: a device is who it says it is (where `tls` asks for no certificate). `credentials`: MQTT "
        "clients prove it, by certificate, token, or user name and password of `devices_file`, and have only their own "
        "topics.",
    )
    client_ids: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=16)] = Field(
        default=["{device_id}"],
        description="MQTT client ids that a device may use; `*` stands for any text. Only for `devices: credentials`.",
    )
    certificate_name: Literal["cn", "san_dns", "san_uri"] = Field(
        default="cn", description="Where a client certificate holds the device's id."
    )
    topics: TopicRuleSettings = Field(default=TopicRuleSettings(), description="Topics beyond a device's own.")
    clients: Annotated[list[ClientSettings], Field(max_length=10_000)] = Field(
        default=[], description="Clients that are no devices."
    )
    jwt: Annotated[list[JwtSettings], Field(max_length=16)] = Field(default=[], description="Issuers of tokens.")
