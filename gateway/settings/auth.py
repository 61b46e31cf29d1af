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


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
ScopeWord = Literal["ingest", "read", "operate", "admin"]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=10_000)]
Rate = Annotated[float, Field(ge=0, le=1_000_000_000, allow_inf_nan=False)]


class QuotaSettings(Section):
    """How much one client may send over REST; 0 is no limit. Counted by each gateway for itself."""

    requests_per_s: Rate = Field(default=0.0, description="Requests a second.")
    records_per_s: Rate = Field(default=0.0, description="Items a second.")
    requests_per_day: Annotated[int, Field(ge=0)] = Field(default=0, description="Requests of one day (UTC).")
    records_per_day: Annotated[int, Field(ge=0)] = Field(default=0, description="Items of one day (UTC).")
    burst_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = Field(
        default=10.0, description="What comes in during so many seconds may come at once."
    )


class QuotasSettings(Section):
    """Limits of callers of the REST API."""

    default: QuotaSettings = Field(default=QuotaSettings(), description="Of clients without a `quota` of their own.")
    address_requests_per_s: Rate = Field(default=0.0, description="Requests a second from one address; 0 is no limit.")
    address_burst_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = Field(
        default=10.0, description="What comes from an address during so many seconds may come at once."
    )


class HmacSettings(Section):
    """What a client signs its requests with."""

    secrets: Annotated[list[SecretStr], Field(min_length=1, max_length=2)] = Field(
        description="One secret, or two while it changes; best as `${env:NAME}`."
    )
    mode: Literal["timestamped", "body"] = Field(
        default="timestamped",
        description="What is signed. `timestamped`: `X-Timestamp`, a dot and the body. `body`: the body alone, which "
        "whoever records it can send again.",
    )


class ClientSettings(Section):
    """A client that is no device: a backend, a bridge."""

    id: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Its user name and MQTT client id.")
    api_key_sha256: Sha256 | Annotated[list[Sha256], Field(min_length=1, max_length=8)] | None = Field(
        default=None,
        description="SHA-256 of its API key, or of several while it changes (`iotlink keys create --print-only`).",
    )
    hmac: HmacSettings | None = Field(default=None, description="What it signs its requests with.")
    scopes: Annotated[list[ScopeWord], Field(min_length=1, max_length=4)] = Field(
        default=["ingest"], description="What it may do over REST."
    )
    products: Names | None = Field(default=None, description="Products that it has; null: all.")
    devices: Names | None = Field(default=None, description="Devices that it has, such as `truck-*`; null: all.")
    tenant: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Tenant whose devices it has; null: the listener's."
    )
    expires: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="When it ends, as `2027-01-01` or `2027-01-01T08:00:00Z`; null: never."
    )
    quota: QuotaSettings | None = Field(default=None, description="Its own limits; null: `auth.quotas.default`.")
    password: SecretStr | None = Field(
        default=None, description="Hash of its password (`iotlink devices password` makes one)."
    )
    certificate: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        default=None, description="The name in its client certificate, by `certificate_name` and `certificate_prefix`."
    )
    publish: TopicFilters = Field(default=[], description="Topic filters that it may publish to.")
    subscribe: TopicFilters = Field(default=[], description="Topic filters that it may subscribe to.")


class JwtSettings(Section):
    """An issuer of JSON Web Tokens. MQTT clients give the token as their password, callers of REST as `Bearer`."""

    issuer: Annotated[str, Field(min_length=1)] = Field(description="`iss` of its tokens.")
    audience: Annotated[str, Field(min_length=1)] = Field(
        description="What must stand in `aud`; in `client_id` of an access token without `aud`."
    )
    jwks_url: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        default=None, description="Where its public keys are."
    )
    jwks_file: FilePath | None = Field(default=None, description="The same as a file.")
    device_claim: Annotated[str, Field(min_length=1)] = Field(
        default="sub", description="The claim that holds the device's id (MQTT)."
    )
    roles: Annotated[dict[str, list[ScopeWord]], Field(max_length=1_000)] = Field(
        default={}, description="What roles, groups and scopes of a token allow over REST: `{ADMIN: [operate]}`."
    )
    scope_prefix: Annotated[str, Field(max_length=256)] = Field(
        default="iotlink/",
        description="OAuth scopes that begin so name what they allow (`iotlink/ingest`); empty: none does.",
    )
    products: Names | None = Field(default=None, description="Products that its tokens have over REST; null: all.")
    devices: Names | None = Field(default=None, description="Devices that its tokens have over REST; null: all.")
    tenant: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="Tenant of its tokens over REST; null: the listener's."
    )
    quota: QuotaSettings | None = Field(default=None, description="Limits of each of its subjects; null: the default.")
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
    anonymous_rest: bool | None = Field(
        default=None,
        description="Whether callers of REST without credentials may send and read. null: only on loopback, and while "
        "nothing else of `auth` says who may.",
    )
    clients: Annotated[list[ClientSettings], Field(max_length=10_000)] = Field(
        default=[], description="Clients that are no devices."
    )
    key_file: FilePath | None = Field(
        default=None, description="File of `iotlink keys`; null: `keys.json` in `gateway.data_dir`."
    )
    quotas: QuotasSettings = Field(default=QuotasSettings(), description="Limits of callers of REST.")
    signature_window_s: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=300, description="By how much `X-Timestamp` of a signed request may differ from the time here."
    )
    jwt: Annotated[list[JwtSettings], Field(max_length=16)] = Field(default=[], description="Issuers of tokens.")
