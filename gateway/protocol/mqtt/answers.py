"""What a client answers to deliveries: PUBACK, PUBREC, PUBCOMP (5.0 section 4.3).

Place in the walk: called by the client machine. That a QoS 2 delivery was received is durable before PUBREL says so,
where the delivery outlives the process: a restart then goes on with PUBREL, and the client does not get it twice
(MQTT-4.3.3-6).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.protocol.mqtt import states
from gateway.protocol.mqtt.inbound import Connection
from gateway.protocol.mqtt.message import Delivery, Phase
from gateway.protocol.mqtt.output import Output
from gateway.protocol.mqtt.packets import PacketType, Puback, Pubcomp, Pubrec, Pubrel, ReasonCode
from gateway.protocol.mqtt.session import Session

__all__ = ["take_answer"]


def take_answer(
    session: Session,
    connection: Connection,
    output: Output,
    packet: Puback | Pubrec | Pubcomp,
    not_kept: Callable[[], None],
    steady_ms: Callable[[], int],
) -> None:
    """not_kept: called where the answer could not be made durable."""
    outbound = session.outbound
    packet_id, reason = packet.packet_id, packet.reason
    if isinstance(packet, Puback):
        outbound.acked(packet_id, reason)
    elif isinstance(packet, Pubcomp):
        outbound.completed(packet_id, reason)
    else:
        delivery = outbound.awaiting(packet_id)
        if delivery is None:
            if not reason.failed:
                output.put_packet(Pubrel(packet_id, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND))
        elif reason.failed:
            outbound.refused(delivery, reason)
        elif delivery.number and delivery.phase is Phase.SENT:
            received = (states.received(session.client_id, delivery),)
            session.keep(received, connection, partial(_release, session, output, delivery, not_kept))
        else:
            _release(session, output, delivery, not_kept, True)
    if outbound.queue:
        outbound.drain(steady_ms())


def _release(session: Session, output: Output, delivery: Delivery, not_kept: Callable[[], None], kept: bool) -> None:
    if not kept:
        not_kept()
    elif session.outbound.release(delivery):
        output.put_ack(PacketType.PUBREL, delivery.packet_id)
