"""Why clients are not let in: for each reason the answer of CONNACK, and what the log tells the operator.

Place in the walk: MQTT access ends with one of these or with a grant. The client's text helps its owner and tells a
stranger nothing: an unknown user and a wrong password are one answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.protocol.mqtt.packets import ReasonCode

__all__ = ["DENIALS", "DenialText", "DenyCode", "TopicDenial"]


class DenyCode(StrEnum):
    """Metric label and log field."""

    TOO_MANY_ATTEMPTS = "too_many_attempts"
    BUSY = "busy"
    NO_CREDENTIALS = "no_credentials"
    UNKNOWN_USER = "unknown_user"
    NO_PASSWORD_SET = "no_password_set"
    WRONG_PASSWORD = "wrong_password"
    TOKEN_INVALID = "token_invalid"
    TOKEN_ISSUER = "token_issuer"
    TOKEN_AUDIENCE = "token_audience"
    TOKEN_KEY = "token_key"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_TOO_EARLY = "token_too_early"
    TOKEN_NAMES_NOBODY = "token_names_nobody"
    KEYS_UNAVAILABLE = "keys_unavailable"
    USER_NAME_DIFFERS = "user_name_differs"
    CERTIFICATE_NAMES_NOBODY = "certificate_names_nobody"
    CLIENT_ID = "client_id"
    ID_TAKEN = "id_taken"
    BAD_DEVICE_ID = "bad_device_id"
    UNKNOWN_DEVICE = "unknown_device"
    PROVISIONING_CLOSED = "provisioning_closed"
    INTERNAL_ERROR = "internal_error"


class TopicDenial(StrEnum):
    """Log field: what a client that was let in may not do."""

    PUBLISH = "publish_denied"
    SUBSCRIBE = "subscribe_denied"


@dataclass(slots=True, frozen=True)
class DenialText:
    """reason: of CONNACK. client: its reason string in 5.0; `{client_id}` is what the client id may be. operator: what
    to do."""

    reason: ReasonCode
    client: str
    operator: str


_LOGIN = ReasonCode.BAD_USER_NAME_OR_PASSWORD
_NO = ReasonCode.NOT_AUTHORIZED
_WRONG = "wrong user name or password"
_TOKEN = "this token is not taken here"

DENIALS: dict[DenyCode, DenialText] = {
    DenyCode.TOO_MANY_ATTEMPTS: DenialText(
        ReasonCode.QUOTA_EXCEEDED,
        "too many failed logins, try again in a minute",
        "this address or user name had too many failed logins and is not looked at for a while: find the device with a "
        "wrong password there; nothing else has to be done",
    ),
    DenyCode.BUSY: DenialText(
        ReasonCode.SERVER_BUSY,
        "the server is busy, try again in a few seconds",
        "more logins wait than can be checked soon; they pass when the devices try again",
    ),
    DenyCode.NO_CREDENTIALS: DenialText(
        _NO,
        "log in with user name and password, a token as password, or a client certificate",
        "the client did not say who it is: give a device its id as user name and its password; other clients stand in "
        "`auth.clients`",
    ),
    DenyCode.UNKNOWN_USER: DenialText(
        _LOGIN,
        _WRONG,
        "no device in `devices_file` (of this listener's tenant) and no client in `auth.clients` has this user name",
    ),
    DenyCode.NO_PASSWORD_SET: DenialText(
        _LOGIN,
        _WRONG,
        "it has no `credential` (device) or `password` (client): make one with `iotlink devices password`",
    ),
    DenyCode.WRONG_PASSWORD: DenialText(
        _LOGIN, _WRONG, "the password is wrong: if it is forgotten, make a new one with `iotlink devices password`"
    ),
    DenyCode.TOKEN_INVALID: DenialText(
        _LOGIN,
        _TOKEN,
        "the token is broken or its signature is wrong; RS256 and ES256 are taken, and `exp` must be there",
    ),
    DenyCode.TOKEN_ISSUER: DenialText(
        _LOGIN, _TOKEN, "no entry of `auth.jwt` has the issuer that the token names (`iss`)"
    ),
    DenyCode.TOKEN_AUDIENCE: DenialText(
        _LOGIN, _TOKEN, "the token is not for the audience (`aud`) that `auth.jwt` says"
    ),
    DenyCode.TOKEN_KEY: DenialText(_LOGIN, _TOKEN, "the issuer's key set has no key for this token (`kid`, `alg`)"),
    DenyCode.TOKEN_EXPIRED: DenialText(_LOGIN, "the token has expired", "the device must get a new token"),
    DenyCode.TOKEN_TOO_EARLY: DenialText(
        _LOGIN,
        "the token is not valid yet",
        "compare the clocks of issuer and gateway: the token begins to be valid later than now",
    ),
    DenyCode.TOKEN_NAMES_NOBODY: DenialText(
        _LOGIN, "the token names no device", "the claim that `device_claim` names is missing or no text"
    ),
    DenyCode.KEYS_UNAVAILABLE: DenialText(
        ReasonCode.SERVER_UNAVAILABLE,
        "tokens cannot be checked now, try again in a minute",
        "the issuer's key set could not be had yet, see `jwks_failed`",
    ),
    DenyCode.USER_NAME_DIFFERS: DenialText(
        _LOGIN,
        "with a token the user name is empty or the device that the token names",
        "the client sends a user name that is not the device of its token",
    ),
    DenyCode.CERTIFICATE_NAMES_NOBODY: DenialText(
        _NO,
        "the client certificate names no device",
        "the certificate has no name, or several, where `auth.certificate_name` says that the device's id stands",
    ),
    DenyCode.CLIENT_ID: DenialText(
        ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
        "the client id must be {client_id}",
        "the client may use only client ids of its own (`auth.client_ids`): set it in the client, or leave it empty",
    ),
    DenyCode.ID_TAKEN: DenialText(
        _NO, "this id is not for devices", "a client of `auth.clients` has this id: rename the client or the device"
    ),
    DenyCode.BAD_DEVICE_ID: DenialText(
        _NO, "a device id has 1-256 printable characters", "the id cannot name a device: 1-256 printable characters"
    ),
    DenyCode.UNKNOWN_DEVICE: DenialText(
        _NO, "this device is not registered here", "`provisioning: known`: list the device in `devices_file`"
    ),
    DenyCode.PROVISIONING_CLOSED: DenialText(
        _NO, "this device is not registered here", "`provisioning: closed`: list the device in `devices_file`"
    ),
    DenyCode.INTERNAL_ERROR: DenialText(
        ReasonCode.SERVER_UNAVAILABLE, "try again later", "an error of the gateway, see the log"
    ),
}
