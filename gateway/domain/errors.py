"""The gateway's own errors and closed sets of reasons.

Every code here is at once a metric label, a log field, a dead-letter reason and an anchor in the documents.
Errors are split by who must act: the peer (a device or client), the operator, or us.
"""

from __future__ import annotations

from enum import StrEnum


class RefuseReason(StrEnum):
    """Why an Uplink was refused: it is not kept, and its sender gets no "yes"."""

    NOT_IDENTIFIED = "not_identified"  # data before login on a session that has no identity
    UNKNOWN_DEVICE = "unknown_device"  # `provisioning: known` and the directory does not list it
    PROVISIONING_CLOSED = "provisioning_closed"
    NOT_AUTHORIZED = "not_authorized"  # the topic rules do not let this client publish there
    WRONG_PRODUCT = "wrong_product"  # the directory says that this device is another product
    CERTIFICATE_NAMES_NOBODY = "certificate_names_nobody"  # where the device's id should stand in it
    CERTIFICATE_DIFFERS = "certificate_differs"  # the login names a device that the certificate does not speak for
    OUTBOX_FULL = "outbox_full"  # no room: the sender keeps it and tries again
    SINK_FAILED = "sink_failed"  # the sink ended before the record was durable (shutdown, fatal error)
    RATE_LIMITED = "rate_limited"  # a dead letter that the rate limit did not let through
    TOO_LARGE = "too_large"  # the record would never fit into the sink
    REJECTED = "rejected"  # an item of a request that nothing can be made of: its sender is told, nothing is kept


class DeadLetterReason(StrEnum):
    """Reasons beside the decoder's codes (`decoders.errors.DecodeCode`), which are used as they are."""

    CONTRACT = "contract"  # the message's contract says `reject` and a value broke it
    UNKNOWN_PRODUCT = "unknown_product"
    BAD_TOPIC = "bad_topic"  # a known tree of topics with a level that it does not have
    NOT_IDENTIFIED = "not_identified"  # neither topic nor payload nor sender names a device
    BAD_SIGNATURE = "bad_signature"  # the device has to sign its payloads, and this one is not signed with its secret
    BURIED = "buried"  # the sink said that it will never take this record


class CloseReason(StrEnum):
    """Why the gateway (or the peer) ended a connection."""

    PEER_CLOSED = "peer_closed"
    CONNECTION_LOST = "connection_lost"
    LOGIN_TIMEOUT = "login_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    GARBAGE = "garbage"  # more bytes that are no frame than the listener allows
    FRAME_TOO_LONG = "frame_too_long"
    TOO_MANY_BAD_FRAMES = "too_many_bad_frames"
    PROTOCOL_ERROR = "protocol_error"  # the peer broke its protocol's rules (MQTT)
    UNKNOWN_PROTOCOL = "unknown_protocol"  # the first bytes fit none of the listener's products
    REFUSED = "refused"  # access: provisioning, wrong product
    NOT_KEPT = "not_kept"  # what it sent could not be stored; it gets no answer and sends again
    TAKEOVER = "takeover"  # the same device connected again
    CONNECTION_LIMIT = "connection_limit"
    PER_IP_LIMIT = "per_ip_limit"
    BAD_PROXY_HEADER = "bad_proxy_header"
    TLS_FAILED = "tls_failed"
    SLOW_READER = "slow_reader"  # the peer does not read its replies
    SHUTDOWN = "shutdown"
    INTERNAL_ERROR = "internal_error"


class SourceProblem(StrEnum):
    """Why a source has no connection to its broker."""

    UNREACHABLE = "unreachable"  # no such host, nobody listens there, or no answer on the way
    TLS_FAILED = "tls_failed"
    BAD_CREDENTIALS = "bad_credentials"  # CONNACK 4: bad user name or password
    NOT_AUTHORIZED = "not_authorized"  # CONNACK 5
    CONNECT_REFUSED = "connect_refused"  # any other CONNACK
    SUBSCRIPTION_REFUSED = "subscription_refused"
    NO_ANSWER = "no_answer"  # to a packet that has one, in time
    NO_ROUND_TRIP = "no_round_trip"  # the liveness check found the way through the broker broken
    CONNECTION_LOST = "connection_lost"
    PROTOCOL_ERROR = "protocol_error"  # what the broker sent is no MQTT
    NOT_KEPT = "not_kept"  # a message could not be stored: it comes again on the next connection
    INTERNAL_ERROR = "internal_error"


class GatewayError(Exception):
    """Root of the gateway's errors. Never raised itself."""

    code = "internal_error"


class OperatorError(GatewayError):
    """The operator must change configuration or environment; the text says what and where."""

    code = "operator"


class ConfigError(OperatorError):
    """The configuration cannot be used. The text names file:line:column, what was there and what was expected.

    setting: dotted path of the setting that is wrong (`tcp.listeners.0.port`) where the text does not say its place:
    whoever read the configuration knows it.
    """

    code = "config"

    def __init__(self, text: str, *, setting: str = "") -> None:
        super().__init__(text)
        self.setting = setting

    def below(self, section: str) -> ConfigError:
        """The same of a whole configuration, by whoever knows which of its sections was meant."""
        return ConfigError(f"{section}: {self}", setting=f"{section}.{self.setting}" if self.setting else section)


class SinkError(GatewayError):
    """A whole request to a sink failed. `retriable` False: it will never work as it stands."""

    code = "sink"

    def __init__(self, detail: str, *, code: str = "sink", retriable: bool = True) -> None:
        super().__init__(detail)
        self.code = code
        self.retriable = retriable
