"""What all sections of the configuration are made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

DEFAULT_DATA_DIR = Path("data")


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", text):
        raise PydanticCustomError("expected", "a name of 1 to 32 of a-z, 0-9, - and _ that begins with a letter")
    return text


Name = Annotated[str, AfterValidator(_name)]
RecordType = Literal["telemetry", "event", "alert", "control", "firmware", "file", "master", "presence", "log"]
FilePath = Annotated[Path, Strict(False)]  # strict mode would want a Path where YAML can only give text
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]
Size = Annotated[ByteSize, Field(ge=1)]


class Section(BaseModel):
    """Strict: `port: "5023"` and `port: true` are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
