"""Where records and dead letters are kept and sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Field

from gateway.settings.section import DEFAULT_DATA_DIR, FilePath, Name, RecordType, Section, Size


class FileSink(Section):
    """Records as NDJSON files, by date and hour."""

    type: Literal["file"] = Field(description="The kind of sink.")
    dir: FilePath = Field(
        default=DEFAULT_DATA_DIR / "records",
        description="Folder of the files; `records` in `gateway.data_dir` unless given.",
    )
    rotate_mb: Annotated[int, Field(ge=1, le=1_048_576)] = Field(
        default=64, description="Size in MiB at which a new file begins."
    )
    rotate_s: Annotated[float, Field(ge=1, le=31_536_000)] = Field(
        default=3600.0, description="Age in seconds at which a new file begins."
    )


class KinesisSink(Section):
    """Records in an Amazon Kinesis data stream. Credentials come from the usual AWS chain."""

    type: Literal["kinesis"] = Field(description="The kind of sink.")
    stream: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{1,128}$")] = Field(description="Name of the stream.")
    region: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="AWS region; null is that of the environment."
    )
    endpoint_url: Annotated[str, Field(pattern=r"^https?://")] | None = Field(
        default=None, description="Another endpoint than the region's own (VPC endpoint, test server)."
    )
    packing: Literal["plain", "aggregated", "ndjson"] = Field(
        default="plain",
        description="How records fill Kinesis records. `plain`: one each, one in flight per device. `aggregated`: "
        "many in one, in the format of the Kinesis Producer Library. `ndjson`: many in one, a line each.",
    )
    linger_ms: Annotated[float, Field(ge=0, le=10_000)] | None = Field(
        default=None,
        description="Time between the starts of two requests, unless they are full. null: 20, and 50 where records are "
        "packed and nobody waits for them (`ack_on: spool`): fuller Kinesis records are a smaller bill.",
    )


class StdoutSink(Section):
    """Records on stdout, a JSON line each; the log goes to stderr then."""

    type: Literal["stdout"] = Field(description="The kind of sink.")


Sink = Annotated[FileSink | KinesisSink | StdoutSink, Field(discriminator="type")]


class RouteSettings(Section):
    """Which records go to which sinks. The first route that takes a record decides."""

    to: Annotated[list[Name], Field(min_length=1, max_length=16)] = Field(description="Names of sinks.")
    types: Annotated[list[RecordType], Field(max_length=16)] = Field(
        default=[], description="Types of record that it takes; empty: all."
    )
    products: Annotated[list[str], Field(max_length=10_000)] = Field(
        default=[], description="Ids of products that it takes; empty: all."
    )


class SpoolSettings(Section):
    """The log on the disk in which everything acknowledged stands until the sinks have it."""

    dir: FilePath = Field(
        default=DEFAULT_DATA_DIR / "spool",
        description="Folder of the spools, one below it for each gateway id; `spool` in `gateway.data_dir` unless "
        "given. On a volume that several gateways share, a live one delivers what a dead one has left.",
    )
    max_bytes: Annotated[ByteSize, Field(ge=16 << 20)] = Field(
        default=ByteSize(4 << 30), description="Most that it may take on the disk; less than the disk has."
    )
    segment_bytes: Annotated[ByteSize, Field(ge=1 << 20, le=1 << 30)] = Field(
        default=ByteSize(32 << 20), description="Size at which a new file begins."
    )
    commit_interval_max_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=5.0, description="Longest time under load between two commits; when idle they come at once."
    )


class RawArchiveSettings(Section):
    """Frames as they came, kept beside their records and under the same `record_id`."""

    enabled: bool = Field(default=False, description="Whether they are kept.")
    sink: Name | None = Field(default=None, description="The sink that keeps them.")


class DeadLetterSettings(Section):
    """What could not become records, kept for a look and a replay."""

    dir: FilePath = Field(
        default=DEFAULT_DATA_DIR / "dead_letters",
        description="Folder of the files; `dead_letters` in `gateway.data_dir` unless given.",
    )
    max_bytes: Size = Field(default=ByteSize(1 << 30), description="Most that dead letters may take on the disk.")
    when_full: Literal["drop_oldest", "refuse"] = Field(
        default="drop_oldest", description="What happens at `max_bytes`: the oldest go, or the sender gets no answer."
    )
    max_age_days: Annotated[float, Field(gt=0, le=36_500)] = Field(default=30.0, description="Older ones are deleted.")
    also_to: Name | None = Field(
        default=None, description="A sink that gets every dead letter as well, as a record of type `dead_letter`."
    )
