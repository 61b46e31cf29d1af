"""Hypothesis strategies for control packets that a client or a server may send."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)

__all__ = ["from_client", "from_server", "levels", "topic_filters", "topics"]

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
blobs = st.binary(max_size=200)
packet_ids = st.integers(1, 65_535)
bytes_1 = st.integers(0, 1)
numbers_2 = st.integers(0, 0xFFFF)
numbers_4 = st.integers(0, 0xFFFFFFFF)
positive_2 = st.integers(1, 0xFFFF)
positive_4 = st.integers(1, 0xFFFFFFFF)
pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
identifiers = st.integers(1, 268_435_455)

levels = st.text(st.characters(exclude_characters="\0/+#$", exclude_categories=["Cs"]), max_size=4)
topics = st.lists(levels, min_size=1, max_size=5).map("/".join).filter(bool)


@st.composite
def topic_filters(draw: st.DrawFn) -> str:
    parts = draw(st.lists(levels | st.just("+"), min_size=1, max_size=4))
    if draw(st.booleans()):
        parts.append("#")
    plain = "/".join(parts) or "a"
    return f"$share/{draw(levels.filter(bool))}/{plain}" if draw(st.integers(0, 5)) == 0 else plain


_MESSAGE: dict[str, st.SearchStrategy[Any]] = {
    "payload_format_indicator": bytes_1,
    "message_expiry_interval": numbers_4,
    "content_type": texts,
    "response_topic": topics,
    "correlation_data": blobs,
}
_REASON: dict[str, st.SearchStrategy[Any]] = {"reason_string": texts}
_HELLO: dict[str, st.SearchStrategy[Any]] = {
    "session_expiry_interval": numbers_4,
    "receive_maximum": positive_2,
    "topic_alias_maximum": numbers_2,
    "maximum_packet_size": positive_4,
    "authentication_method": texts,
}


def _some(known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Properties | None]:
    """Some of these properties; None if there are none, as the decoder says it."""
    fields = st.fixed_dictionaries({}, optional={**known, "user_properties": pairs})
    built = fields.map(lambda chosen: Properties(**chosen))
    return st.none() | built.map(lambda properties: None if properties == Properties() else properties)


def _qos_publishes(properties: st.SearchStrategy[Properties | None]) -> st.SearchStrategy[Packet]:
    plain = st.builds(Publish, topics, blobs, st.just(0), st.booleans(), properties=properties)
    kept = st.builds(
        Publish, topics, blobs, st.integers(1, 2), st.booleans(), st.booleans(), packet_ids, properties=properties
    )
    return plain | kept


def _reasons(*codes: int) -> st.SearchStrategy[ReasonCode]:
    return st.sampled_from([ReasonCode(code) for code in codes])


def _shared(version: int) -> list[st.SearchStrategy[Packet]]:
    """What both sides say."""
    if version == V311:
        acks: list[st.SearchStrategy[Packet]] = [
            st.builds(kind, packet_ids) for kind in (Puback, Pubrec, Pubrel, Pubcomp)
        ]
        return [*acks, _qos_publishes(st.none())]
    published, released = _reasons(0, 0x10, 0x80, 0x87, 0x97, 0x99), _reasons(0, 0x92)
    return [
        st.builds(Puback, packet_ids, published, _some(_REASON)),
        st.builds(Pubrec, packet_ids, published, _some(_REASON)),
        st.builds(Pubrel, packet_ids, released, _some(_REASON)),
        st.builds(Pubcomp, packet_ids, released, _some(_REASON)),
        _qos_publishes(_some(_MESSAGE)),
        _qos_publishes(st.just(Properties(topic_alias=7))),
    ]


@st.composite
def connects(draw: st.DrawFn, version: int) -> Connect:
    none: st.SearchStrategy[Properties | None] = st.none()
    in_5 = version == V5
    will_properties = _some({**_MESSAGE, "will_delay_interval": numbers_4}) if in_5 else none
    will = draw(st.none() | st.builds(Will, topics, blobs, st.integers(0, 2), st.booleans(), will_properties))
    user_name = draw(st.none() | texts)
    password = draw(st.none() | blobs) if in_5 or user_name is not None else None
    properties = draw(_some({**_HELLO, "request_problem_information": bytes_1}) if in_5 else none)
    client_id = draw(texts)
    clean_start = draw(st.booleans()) or (not in_5 and not client_id)
    return Connect(version, client_id, clean_start, draw(numbers_2), will, user_name, password, properties)


def _subscriptions(version: int) -> st.SearchStrategy[Subscription]:
    if version == V311:
        return st.builds(Subscription, topic_filters(), st.integers(0, 2))
    built = st.builds(Subscription, topic_filters(), st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 2))
    return built.filter(lambda subscription: not (subscription.no_local and subscription.topic_filter[0] == "$"))


def from_client(version: int) -> st.SearchStrategy[Packet]:
    """Any packet of a client but CONNECT."""
    in_5 = version == V5
    none: st.SearchStrategy[Properties | None] = st.none()
    identified = _some({"subscription_identifiers": st.tuples(identifiers)}) if in_5 else none
    kinds = [
        *_shared(version),
        st.builds(Subscribe, packet_ids, st.lists(_subscriptions(version), min_size=1, max_size=4), identified),
        st.builds(
            Unsubscribe, packet_ids, st.lists(topic_filters(), min_size=1, max_size=4), _some({}) if in_5 else none
        ),
        st.builds(Pingreq),
        st.builds(Disconnect),
    ]
    if in_5:
        ended = _some({**_REASON, "session_expiry_interval": numbers_4})
        kinds.append(st.builds(Disconnect, _reasons(0, 4, 0x80, 0x93, 0x99), ended))
        method = st.builds(Properties, authentication_method=texts, authentication_data=blobs, user_properties=pairs)
        kinds.append(st.builds(Auth, _reasons(0x18, 0x19), method))
    return st.one_of(kinds)


def from_server(version: int) -> st.SearchStrategy[Packet]:
    """Any packet of a server."""
    if version == V311:
        return st.one_of(
            *_shared(version),
            st.builds(Connack, st.booleans()),
            st.builds(Connack, st.just(False), _reasons(0x84, 0x85, 0x86, 0x87, 0x88)),
            st.builds(Suback, packet_ids, st.lists(_reasons(0, 1, 2, 0x80), max_size=4)),
            st.builds(Unsuback, packet_ids, st.just([])),
            st.builds(Pingresp),
        )
    welcome = _some(
        {
            **_HELLO,
            **_REASON,
            "assigned_client_identifier": texts,
            "server_keep_alive": numbers_2,
            "response_information": texts,
            "server_reference": texts,
            "maximum_qos": bytes_1,
            "retain_available": bytes_1,
            "wildcard_subscription_available": bytes_1,
            "subscription_identifier_available": bytes_1,
            "shared_subscription_available": bytes_1,
        }
    )
    several = st.lists(identifiers, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        *_shared(version),
        _qos_publishes(st.builds(Properties, subscription_identifiers=several)),
        st.builds(Connack, st.booleans(), st.just(ReasonCode.SUCCESS), welcome),
        st.builds(Connack, st.just(False), _reasons(0x80, 0x87, 0x9F), welcome),
        st.builds(Suback, packet_ids, st.lists(_reasons(0, 1, 2, 0x80, 0x8F, 0x9E), max_size=4), _some(_REASON)),
        st.builds(Unsuback, packet_ids, st.lists(_reasons(0, 0x11, 0x8F), max_size=4), _some(_REASON)),
        st.builds(Pingresp),
        st.builds(Disconnect, _reasons(0, 0x8B, 0x8D, 0x8E, 0xA2), _some({**_REASON, "server_reference": texts})),
        st.builds(Auth, _reasons(0, 0x18), st.builds(Properties, authentication_method=texts)),
    )
