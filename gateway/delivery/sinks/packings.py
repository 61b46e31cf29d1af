"""How records become Kinesis records: one by one, or the records of a stripe as one.

Parcels are made when they are sent, from records that keep the order of their lanes; so packing and number of stripes
may change between two runs while records wait. A consumer sees which it is from the bytes: a KPL record begins with its
magic number, everything else is JSON lines (one, of a plain record).
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Protocol

import orjson

from gateway.delivery.kpl import ROOM_BYTES, aggregate
from gateway.delivery.lanes import LaneQueue, Parcel, ParcelQueue, StripeQueue
from gateway.delivery.stripes import STRIPES, Stripes, hash_key_of, partition_key

PARCEL_BYTES = 51_200  # two payload units of 25 KiB, by which Kinesis charges; also the KPL's own limit
_MAX_KEY_BYTES = 4 * 256
_STRIPE_KEY = b"a"  # as the KPL does: the explicit hash key decides


class Packing(Protocol):
    """room_bytes: what a lone record needs beside its body, its keys included, at most."""

    room_bytes: int

    def new_queue(self) -> ParcelQueue: ...

    def hash_of(self, key: str) -> int:
        """The hash key under which a parcel with this key is stored."""
        ...

    def entry(self, parcel: Parcel) -> bytes:
        """The parcel as an entry of PutRecords, JSON. The same parcel gives the same bytes."""
        ...


class Plain:
    """One record is one Kinesis record; its lane is the partition key."""

    room_bytes = _MAX_KEY_BYTES

    def new_queue(self) -> ParcelQueue:
        return LaneQueue()

    def hash_of(self, key: str) -> int:
        return hash_key_of(key)

    def entry(self, parcel: Parcel) -> bytes:
        data = b2a_base64(parcel.entries[0][0].body, newline=False)
        return b'{"Data":"%b","PartitionKey":%b}' % (data, orjson.dumps(partition_key(parcel.key)))


class _Striped:
    """stripes: a power of two. parcel_bytes: of one Kinesis record; a larger record of ours goes alone."""

    def __init__(self, stripes: int = STRIPES, parcel_bytes: int = PARCEL_BYTES) -> None:
        self._stripes = Stripes(stripes)
        self._parcel_bytes = parcel_bytes

    def new_queue(self) -> ParcelQueue:
        return StripeQueue(self._stripes, self._parcel_bytes)

    def hash_of(self, key: str) -> int:
        return int(key)


class Aggregated(_Striped):
    """The records of a stripe as one KPL record. Inside stand the lane as partition key and the stripe's hash key."""

    room_bytes = _MAX_KEY_BYTES + ROOM_BYTES + len(_STRIPE_KEY)

    def entry(self, parcel: Parcel) -> bytes:
        return _entry_of_stripe(aggregate([record for record, _ in parcel.entries], parcel.key), parcel.key)


class Ndjson(_Striped):
    """The records of a stripe as lines, without a newline after the last."""

    room_bytes = len(_STRIPE_KEY)

    def entry(self, parcel: Parcel) -> bytes:
        return _entry_of_stripe(b"\n".join([record.body for record, _ in parcel.entries]), parcel.key)


def _entry_of_stripe(data: bytes, hash_key: str) -> bytes:
    encoded = b2a_base64(data, newline=False)
    return b'{"Data":"%b","PartitionKey":"%b","ExplicitHashKey":"%b"}' % (encoded, _STRIPE_KEY, hash_key.encode())
