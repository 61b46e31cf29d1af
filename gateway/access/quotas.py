"""Quotas: how many requests and records a caller may send in a second and in a day, and an address in a second.

Place in the walk: an address is asked for before anything of a request is looked at, the caller's requests once it is
known who calls, its records once a body (or a piece of a stream) is cut into items. Counts are this process's and
begin anew with it.

Headers: `RateLimit-Limit`, `-Remaining`, `-Reset` (draft-ietf-httpapi-ratelimit-headers-06), which clients and
libraries know, instead of the combined `RateLimit` field of its later versions, which is no standard either. They tell
of the limit that is nearest to its end; seconds from now, whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

__all__ = ["LimitName", "LimitState", "QuotaAnswer", "QuotaLimits", "QuotaOptions", "Quotas"]

_DAY_S = 86_400
_ROUNDING = 1e-9
"""A token that lacks no more than this is whole."""


class LimitName(StrEnum):
    """Metric label, and `limit` in the problem document of a 429."""

    REQUESTS_PER_SECOND = "requests_per_second"
    RECORDS_PER_SECOND = "records_per_second"
    REQUESTS_PER_DAY = "requests_per_day"
    RECORDS_PER_DAY = "records_per_day"
    ADDRESS_REQUESTS_PER_SECOND = "address_requests_per_second"


@dataclass(slots=True, frozen=True)
class QuotaLimits:
    """Of one caller; 0 is no limit. burst_s: what comes in during so many seconds may come at once. Days are UTC's."""

    requests_per_s: float = 0.0
    records_per_s: float = 0.0
    requests_per_day: int = 0
    records_per_day: int = 0
    burst_s: float = 10.0

    @property
    def counts_records(self) -> bool:
        return bool(self.records_per_s or self.records_per_day)


@dataclass(slots=True, frozen=True)
class QuotaOptions:
    """default: of callers without limits of their own. max_callers, max_addresses: remembered at once; whoever was
    there longest ago is forgotten first, and with that begins anew."""

    default: QuotaLimits = QuotaLimits()
    address_requests_per_s: float = 0.0
    address_burst_s: float = 10.0
    max_callers: int = 65_536
    max_addresses: int = 65_536


@dataclass(slots=True, frozen=True)
class LimitState:
    """limit: what may come at most at once, or in the day. remaining: of it. reset_s: until all of it is there again.
    wait_s: until the next one is let in, 0 for at once."""

    name: LimitName
    limit: int
    remaining: int
    reset_s: int
    wait_s: int = 0


@dataclass(slots=True, frozen=True)
class QuotaAnswer:
    """state: of the limit that refused, else of the one that is nearest to its end; None where there is no limit."""

    allowed: bool
    state: LimitState | None = None

    def headers(self) -> dict[str, str]:
        """`RateLimit-*`, and `Retry-After` of a refusal."""
        state = self.state
        if state is None:
            return {}
        headers = {
            "RateLimit-Limit": str(state.limit),
            "RateLimit-Remaining": str(state.remaining),
            "RateLimit-Reset": str(state.reset_s),
        }
        if not self.allowed:
            headers["Retry-After"] = str(state.wait_s)
        return headers


_FREE = QuotaAnswer(True)


class Quotas:
    """clock: seconds, rising. unix_s: wall time, which says when a day ends."""

    __slots__ = ("_addresses", "_callers", "_clock", "_options", "_unix_s", "refused")

    def __init__(self, options: QuotaOptions, clock: Callable[[], float], unix_s: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._unix_s = unix_s
        self._callers: _Table[_Usage] = _Table(_Usage, options.max_callers)
        self._addresses: _Table[_Bucket] = _Table(_Bucket, options.max_addresses)
        self.refused: dict[LimitName, int] = dict.fromkeys(LimitName, 0)
        """How often, by limit."""

    def take_address(self, address: str) -> QuotaAnswer:
        """One request of an address, as `address_of` names it."""
        rate = self._options.address_requests_per_s
        if not rate:
            return _FREE
        bucket = self._addresses.get(address)
        size = _size(rate, self._options.address_burst_s)
        bucket.refill(rate, size, self._clock())
        return self._take([_Share(LimitName.ADDRESS_REQUESTS_PER_SECOND, bucket, rate, size)], [], 1)

    def take_request(self, caller: str, own: QuotaLimits | None, *, sends: bool) -> QuotaAnswer:
        """One request. own: of the grant. sends: it brings records; it is then refused before its body is read when no
        record would be let in."""
        limits = own or self._options.default
        if not (limits.requests_per_s or limits.requests_per_day or (sends and limits.counts_records)):
            return _FREE
        usage = self._usage(caller, limits)
        rates, days = _request_limits(usage, limits)
        if sends:
            record_rates, record_days = _record_limits(usage, limits)
            waiting = self._refusal(record_rates, record_days, 1)
            if waiting is not None:
                return waiting
        return self._take(rates, days, 1)

    def take_records(self, caller: str, own: QuotaLimits | None, count: int) -> QuotaAnswer:
        """Records of one request, or of the next piece of a stream: all of them or none.

        More than fit at once are let in when at least one fits, and then owed: so no batch is too large for ever, and
        the rate holds over time. What would go beyond the day's limit is refused whole.
        """
        limits = own or self._options.default
        if not limits.counts_records:
            return _FREE
        usage = self._usage(caller, limits)
        return self._take(*_record_limits(usage, limits), count)

    def _usage(self, caller: str, limits: QuotaLimits) -> _Usage:
        usage = self._callers.get(caller)
        usage.refresh(limits, self._clock(), int(self._unix_s()))
        return usage

    def _take(self, rates: list[_Share], days: list[_Day], count: int) -> QuotaAnswer:
        refusal = self._refusal(rates, days, count)
        if refusal is not None:
            return refusal
        for share in rates:
            share.bucket.level -= count
        for day in days:
            day.count(count)
        states = [share.state(0) for share in rates] + [day.state(0) for day in days]
        return QuotaAnswer(True, min(states, key=lambda state: state.remaining / state.limit, default=None))

    def _refusal(self, rates: list[_Share], days: list[_Day], count: int) -> QuotaAnswer | None:
        states = [share.state(share.wait_s()) for share in rates if not share.has_one()]
        states += [day.state(day.left_s) for day in days if not day.has(count)]
        if not states:
            return None
        worst = max(states, key=lambda state: state.wait_s)
        self.refused[worst.name] += 1
        return QuotaAnswer(False, worst)


class _Bucket:
    """level: tokens at `since`; below zero they are owed."""

    __slots__ = ("level", "since")

    def __init__(self) -> None:
        self.level = math.inf  # full, whatever its size
        self.since = 0.0

    def refill(self, rate: float, size: int, now: float) -> None:
        self.level = min(float(size), self.level + max(0.0, now - self.since) * rate)
        self.since = now


@dataclass(slots=True)
class _Share:
    """A bucket that was just refilled, with its limit."""

    name: LimitName
    bucket: _Bucket
    rate: float
    size: int

    def has_one(self) -> bool:
        return self.bucket.level >= 1 - _ROUNDING

    def wait_s(self) -> int:
        return max(1, _whole((1 - self.bucket.level) / self.rate))

    def state(self, wait_s: int) -> LimitState:
        level = self.bucket.level
        remaining = max(0, math.floor(level + _ROUNDING))
        return LimitState(self.name, self.size, remaining, _whole((self.size - level) / self.rate), wait_s)


class _Usage:
    """What one caller has used."""

    __slots__ = ("day", "left_s", "records", "records_today", "requests", "requests_today")

    def __init__(self) -> None:
        self.requests = _Bucket()
        self.records = _Bucket()
        self.day = -1
        self.left_s = 0
        self.requests_today = 0
        self.records_today = 0

    def refresh(self, limits: QuotaLimits, now: float, unix_s: int) -> None:
        self.requests.refill(limits.requests_per_s, _size(limits.requests_per_s, limits.burst_s), now)
        self.records.refill(limits.records_per_s, _size(limits.records_per_s, limits.burst_s), now)
        day, into = divmod(unix_s, _DAY_S)
        self.left_s = _DAY_S - into
        if day != self.day:
            self.day = day
            self.requests_today = self.records_today = 0


@dataclass(slots=True)
class _Day:
    """A limit of the day, and who counts it."""

    name: LimitName
    usage: _Usage
    limit: int

    @property
    def used(self) -> int:
        usage = self.usage
        return usage.requests_today if self.name is LimitName.REQUESTS_PER_DAY else usage.records_today

    @property
    def left_s(self) -> int:
        return self.usage.left_s

    def has(self, count: int) -> bool:
        return self.used + count <= self.limit

    def count(self, count: int) -> None:
        if self.name is LimitName.REQUESTS_PER_DAY:
            self.usage.requests_today += count
        else:
            self.usage.records_today += count

    def state(self, wait_s: int) -> LimitState:
        return LimitState(self.name, self.limit, max(0, self.limit - self.used), self.left_s, wait_s)


def _request_limits(usage: _Usage, limits: QuotaLimits) -> tuple[list[_Share], list[_Day]]:
    rate, size = limits.requests_per_s, _size(limits.requests_per_s, limits.burst_s)
    rates = [_Share(LimitName.REQUESTS_PER_SECOND, usage.requests, rate, size)] if rate else []
    days = [_Day(LimitName.REQUESTS_PER_DAY, usage, limits.requests_per_day)] if limits.requests_per_day else []
    return rates, days


def _record_limits(usage: _Usage, limits: QuotaLimits) -> tuple[list[_Share], list[_Day]]:
    rate, size = limits.records_per_s, _size(limits.records_per_s, limits.burst_s)
    rates = [_Share(LimitName.RECORDS_PER_SECOND, usage.records, rate, size)] if rate else []
    days = [_Day(LimitName.RECORDS_PER_DAY, usage, limits.records_per_day)] if limits.records_per_day else []
    return rates, days


def _size(rate: float, burst_s: float) -> int:
    return max(1, math.ceil(rate * burst_s))


def _whole(seconds: float) -> int:
    return max(0, math.ceil(seconds - _ROUNDING))


T = TypeVar("T")


class _Table(Generic[T]):
    """Values by name, the one that was used last at the end."""

    __slots__ = ("_make", "_max", "_values")

    def __init__(self, make: Callable[[], T], max_keys: int) -> None:
        self._make = make
        self._max = max_keys
        self._values: dict[str, T] = {}

    def get(self, key: str) -> T:
        value = self._values.pop(key, None)
        if value is None:
            value = self._make()
            while len(self._values) >= self._max:
                del self._values[next(iter(self._values))]
        self._values[key] = value
        return value
