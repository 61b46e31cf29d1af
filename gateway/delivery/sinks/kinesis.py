"""Amazon Kinesis Data Streams as a sink: one parcel is one Kinesis record; the packing says what stands in it.

botocore's own retries are off: it would send a request again whose answer got lost, and knows nothing of entries. All
retrying is the sender's. The body of PutRecords is made here, and its answer read here, since botocore's serializer and
parser would be most of what delivery costs: both enter through events that botocore has, `before-call` and
`before-parse`.
Limits: API reference of PutRecords, DescribeStreamSummary, ListShards (2026).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import aiohttp
import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import exceptions as boto

from gateway.delivery.lanes import Parcel, ParcelQueue
from gateway.delivery.pacing import Pacing, ShardRange
from gateway.delivery.sinks import EntryFailure, SinkErrorCode
from gateway.delivery.sinks.packings import Packing, Plain
from gateway.domain.errors import OperatorError, SinkError

_DEFAULT_MAX_RECORD_KIB = 1024
_START_CHECK_TIMEOUT_S = 5.0
_MAX_SHARD_PAGES = 100

_body: ContextVar[bytes] = ContextVar("body of the PutRecords request that this task is making")

# What the client can raise besides BotoCoreError: reading the body of an answer is not covered by its own mapping.
_CLIENT_ERRORS = (boto.ClientError, boto.BotoCoreError, aiohttp.ClientError, OSError, TimeoutError)

_CODES: Mapping[str, SinkErrorCode] = {
    "ProvisionedThroughputExceededException": SinkErrorCode.THROTTLED,
    "LimitExceededException": SinkErrorCode.THROTTLED,
    "ThrottlingException": SinkErrorCode.THROTTLED,
    "Throttling": SinkErrorCode.THROTTLED,
    "RequestLimitExceeded": SinkErrorCode.THROTTLED,
    "InternalFailure": SinkErrorCode.INTERNAL,
    "InternalFailureException": SinkErrorCode.INTERNAL,
    "ServiceUnavailable": SinkErrorCode.INTERNAL,
    "RequestTimeout": SinkErrorCode.TIMEOUT,
    "ExpiredToken": SinkErrorCode.CREDENTIALS,
    "ExpiredTokenException": SinkErrorCode.CREDENTIALS,
    "RequestExpired": SinkErrorCode.CREDENTIALS,
    "UnrecognizedClientException": SinkErrorCode.CREDENTIALS,
    "InvalidClientTokenId": SinkErrorCode.CREDENTIALS,
    "InvalidSignatureException": SinkErrorCode.CREDENTIALS,
    "SignatureDoesNotMatch": SinkErrorCode.CREDENTIALS,
    "IncompleteSignature": SinkErrorCode.CREDENTIALS,
    "MissingAuthenticationToken": SinkErrorCode.CREDENTIALS,
    "MissingAuthenticationTokenException": SinkErrorCode.CREDENTIALS,
    "AccessDenied": SinkErrorCode.ACCESS_DENIED,
    "AccessDeniedException": SinkErrorCode.ACCESS_DENIED,
    "NotAuthorized": SinkErrorCode.ACCESS_DENIED,
    "OptInRequired": SinkErrorCode.ACCESS_DENIED,
    "ResourceNotFoundException": SinkErrorCode.NOT_FOUND,
    "ValidationException": SinkErrorCode.VALIDATION,
    "ValidationError": SinkErrorCode.VALIDATION,
    "InvalidArgument": SinkErrorCode.VALIDATION,
    "InvalidArgumentException": SinkErrorCode.VALIDATION,
    "SerializationException": SinkErrorCode.VALIDATION,
    "KMSThrottlingException": SinkErrorCode.THROTTLED,
}

_CREDENTIAL_ERRORS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.ProfileNotFound,
)
_TIMEOUTS = (boto.ConnectTimeoutError, boto.ReadTimeoutError, TimeoutError)
_CONNECTION_ERRORS = (boto.HTTPClientError, boto.ConnectionError, aiohttp.ClientError, OSError)


LINGER_MS = 20.0
"""A call with 10 records costs eight times as much per record as a full one."""


class KinesisSink:
    """Keeps one client for its whole life. Credentials and, if not given, the region come from the environment.

    packing: Plain, Aggregated or Ndjson.
    The stream is checked before the first record goes there: then a validation error later is about records.
    """

    error_codes: Sequence[SinkErrorCode] = tuple(
        code for code in SinkErrorCode if code not in (SinkErrorCode.DISK_FULL, SinkErrorCode.DISK)
    )
    max_requests = 4
    max_batch_records = 500
    max_batch_bytes = 4_718_592  # 4.5 MiB of bodies; with keys below the 5 MiB that every endpoint takes

    def __init__(
        self,
        name: str,
        stream: str,
        *,
        packing: Packing | None = None,
        region: str | None = None,
        endpoint_url: str | None = None,
        linger_ms: float = LINGER_MS,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 10.0,
    ) -> None:
        self.name = name
        self.linger_ms = linger_ms
        self.packing = packing or Plain()
        self.pacing = Pacing(self.packing.hash_of, self._list_shards)
        self.max_record_bytes = _DEFAULT_MAX_RECORD_KIB * 1024 - self.packing.room_bytes
        self._stream = stream
        self._name_json = orjson.dumps(stream)
        self._region = region
        self._endpoint_url = endpoint_url
        self._config = AioConfig(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=connect_timeout_s,
            read_timeout=read_timeout_s,
            max_pool_connections=self.max_requests + 2,
            user_agent="iotlink-gateway",  # botocore's own is put together anew for each request
            parameter_validation=False,  # a third of the client's cost; sizes, keys and counts are checked here
        )
        self._resources = contextlib.AsyncExitStack()
        self._client: Any = None
        self._checked = False

    async def start(self) -> None:
        """OperatorError: no region, an impossible stream name, or a stream that ignores partition keys."""
        try:
            self._client = await self._resources.enter_async_context(
                get_session().create_client(
                    "kinesis", region_name=self._region, endpoint_url=self._endpoint_url, config=self._config
                )
            )
        except (boto.BotoCoreError, ValueError) as error:
            raise OperatorError(f"sink {self.name}: {error}") from error
        self._client.meta.events.register("before-call.kinesis.PutRecords", _set_body)
        self._client.meta.events.register("before-parse.kinesis.PutRecords", _read_answer)
        try:
            async with asyncio.timeout(_START_CHECK_TIMEOUT_S):
                await self._check()
        except TimeoutError as error:
            raise SinkError("no answer to DescribeStreamSummary", code=SinkErrorCode.TIMEOUT) from error

    def new_queue(self) -> ParcelQueue:
        return self.packing.new_queue()

    async def send(self, parcels: Sequence[Parcel]) -> Sequence[EntryFailure | None] | None:
        if not self._checked:
            await self._check()
        entry = self.packing.entry
        _body.set(b'{"StreamName":%b,"Records":[%b]}' % (self._name_json, b",".join([entry(one) for one in parcels])))
        try:
            answer = await self._client.put_records(StreamName=self._stream, Records=[])
        except _CLIENT_ERRORS as error:
            failure = classify(error)
            if failure.code == SinkErrorCode.NOT_FOUND:
                self._checked = False  # whoever makes the stream again may make it otherwise
            raise failure from error
        outcomes = answer.get("Records")
        if not isinstance(outcomes, list) or len(outcomes) != len(parcels):
            raise SinkError(f"{len(outcomes or ())} outcomes for {len(parcels)} records", code=SinkErrorCode.INTERNAL)
        self.pacing.stored_in({outcome["ShardId"] for outcome in outcomes if "ShardId" in outcome})
        results = [None if "SequenceNumber" in outcome else _entry_failure(outcome) for outcome in outcomes]
        return results if any(results) else None

    async def close(self) -> None:
        await self._resources.aclose()

    async def _check(self) -> None:
        try:
            answer = await self._client.describe_stream_summary(StreamName=self._stream)
        except _CLIENT_ERRORS as error:
            failure = classify(error)
            if failure.retriable:
                raise failure from error
            raise OperatorError(f"sink {self.name}: stream {self._stream!r}: {failure}") from error
        summary = answer["StreamDescriptionSummary"]
        if summary.get("RecordDistributionStrategy") == "AUTO":
            raise OperatorError(
                f"sink {self.name}: stream {self._stream!r} has RecordDistributionStrategy AUTO, which ignores the "
                "partition key: records of a device would lose their order. Use a stream with USER_PARTITION_KEY"
            )
        max_record_kib = summary.get("MaxRecordSizeInKiB", _DEFAULT_MAX_RECORD_KIB)
        self.max_record_bytes = max_record_kib * 1024 - self.packing.room_bytes
        self._checked = True

    async def _list_shards(self) -> Sequence[ShardRange]:
        """The open shards. SinkError: not known now (also: no permission for kinesis:ListShards)."""
        shards: list[ShardRange] = []
        asked: dict[str, Any] = {"StreamName": self._stream, "ShardFilter": {"Type": "AT_LATEST"}}
        for _ in range(_MAX_SHARD_PAGES):
            try:
                answer = await self._client.list_shards(**asked)
            except _CLIENT_ERRORS as error:
                raise classify(error) from error
            try:
                shards += [
                    ShardRange(shard["ShardId"], int(shard["HashKeyRange"]["EndingHashKey"]))
                    for shard in answer.get("Shards", ())
                    if "EndingSequenceNumber" not in shard["SequenceNumberRange"]
                ]
            except (KeyError, ValueError) as error:
                raise SinkError(f"ListShards: {error!r}", code=SinkErrorCode.INTERNAL) from error
            if not answer.get("NextToken"):
                break
            asked = {"NextToken": answer["NextToken"]}
        return shards


def _set_body(params: dict[str, Any], **_: object) -> None:
    """Called by botocore with the request, before it is signed."""
    params["body"] = _body.get()


def _read_answer(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Called by botocore with the answer. Errors, and what is no JSON, are left to its own parser."""
    if response_dict["status_code"] != 200:
        return
    try:
        answer = orjson.loads(response_dict["body"])
    except orjson.JSONDecodeError:
        return
    response_dict["body"] = b"{}"
    if isinstance(answer, dict):
        customized_response_dict.update(answer)


def classify(error: Exception) -> SinkError:
    """A whole request's error as a sender understands it. Only validation errors are beyond retrying."""
    if isinstance(error, boto.ClientError):
        answer = error.response
        code = _code_of(
            answer.get("Error", {}).get("Code", ""), answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        )
    elif isinstance(error, _CREDENTIAL_ERRORS):
        code = SinkErrorCode.CREDENTIALS
    elif isinstance(error, boto.ParamValidationError):
        code = SinkErrorCode.VALIDATION
    elif isinstance(error, _TIMEOUTS):
        code = SinkErrorCode.TIMEOUT
    elif isinstance(error, _CONNECTION_ERRORS):
        code = SinkErrorCode.CONNECTION
    else:
        code = SinkErrorCode.OTHER
    return SinkError(str(error) or type(error).__name__, code=code, retriable=code is not SinkErrorCode.VALIDATION)


def _entry_failure(outcome: Mapping[str, Any]) -> EntryFailure:
    name = outcome.get("ErrorCode", "no sequence number")
    code = _code_of(name, 0)
    return EntryFailure(code, f"{name}: {outcome.get('ErrorMessage', '')}", code is not SinkErrorCode.VALIDATION)


def _code_of(name: str, status: int) -> SinkErrorCode:
    known = _CODES.get(name)
    if known is not None:
        return known
    if name.startswith("KMS"):
        return SinkErrorCode.KMS
    if status >= 500:
        return SinkErrorCode.INTERNAL
    if status == 429:
        return SinkErrorCode.THROTTLED
    if status == 413:
        return SinkErrorCode.VALIDATION
    if status in (401, 403):
        return SinkErrorCode.ACCESS_DENIED
    return SinkErrorCode.OTHER
