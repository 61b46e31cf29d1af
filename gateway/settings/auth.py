"""Who may send, and what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from gateway.settings.section import FilePath, Section

TopicFilters = Annotated[list[Annotated[str, Field(min_length=1, max_length=1024)]], Field(max_length=256)]


class TopicRuleSettings(Section):
    """Topics, as lists of filters; `{device_id}` and `{client_id}` stand for those of the client. Only for `devices:
    credentials`."""

    publish: TopicFilters = Field(default=[], description="Topic filters that may be published to.")
    subscribe: TopicFilters = Field(default=[], description="Topic filters that may be subscribed to.")


class ClientSettings(Section):
    """A client that is no device: a backend, a bridge."""

    id: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Its user name and MQTT client id.")
    password: SecretStr | None = Field(
        default=None, description="Hash of its password (`iotlink devices password` makes one)."
    )
    certificate: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="The name in its client certificate, by `certificate_name` and `certificate_prefix`."
    )
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
    leeway_s: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=60, description="How far its clock may be from ours, for `exp` and `nbf`."
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
        description="MQTT client ids that a device may use, such as `{device_id}-*`: a `*` is one or more characters "
        "other than those between it and `{device_id}`. Only for `devices: credentials`.",
    )
    certificate_name: Literal["cn", "san_dns", "san_uri", "off"] = Field(
        default="cn", description="Where a client certificate holds the device's id. `off`: nowhere."
    )
    certificate_prefix: Annotated[str, Field(max_length=256)] = Field(
        default="", description="What stands before the id there (`urn:dev:`); names without it do not count."
    )
    topics: TopicRuleSettings = Field(
        default=TopicRuleSettings(), description="What every device may do beside its own topics."
    )
    anonymous: TopicRuleSettings | None = Field(
        default=None,
        description="What MQTT clients without user name and password may do under `devices: credentials`; null: they "
        "are not let in.",
    )
    clients: Annotated[list[ClientSettings], Field(max_length=10_000)] = Field(
        default=[], description="Clients that are no devices."
    )
    jwt: Annotated[list[JwtSettings], Field(max_length=16)] = Field(default=[], description="Issuers of tokens.")
