"""Every shipped LoRaWAN product reads its golden frames out of every envelope, port and all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from decoders.catalog import Catalog
from decoders.envelopes import open_envelope
from decoders.golden import run_case
from gateway.specs import load_catalog
from tests.decoders.envelopes.documents import CHIRPSTACK_TOPIC, TTS_TOPIC, chirpstack, milesight, tts

# fmt: off
PRODUCTS = (
    "arwin_lrs", "browan_tabs", "decentlab_5tm", "decentlab_dlr2_010", "decentlab_iam", "decentlab_lp8p",
    "decentlab_tbrg_01", "digitalmatter_oyster", "dragino_lht65", "dragino_small", "ellenex_pls2", "elsys",
    "micropelt_mlr003", "milesight_at101", "milesight_ct303", "milesight_em300_di_hall", "milesight_em300_th",
    "milesight_ts302", "milesight_vs350", "minol_zenner_edc", "nwave", "paxcounter",
)
# fmt: on

SERVERS: dict[str, tuple[str, Callable[[bytes, int, str], dict[str, Any]]]] = {
    "chirpstack_v4": (f"{CHIRPSTACK_TOPIC}up", lambda data, port, product: chirpstack(data, port, product)),
    "tts_v3": (
        f"{TTS_TOPIC}up",
        lambda data, port, product: tts(data, port, *product.split("_", 1)),
    ),
    "milesight": ("uplinks", lambda data, port, product: milesight(data, port, product)),
}


@functools.cache
def shipped() -> Catalog:
    return load_catalog(only=list(PRODUCTS))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("product", PRODUCTS)
def test_golden_frames(product: str, server: str) -> None:
    topic, wrap = SERVERS[server]
    loaded = shipped().products[product]
    read = 0
    for file in loaded.golden.values():
        for case in file.cases:
            port = case.port or 1  # where none is said, the product asks for none
            up = open_envelope(topic, wrap(case.wire, port, product))
            assert up is not None
            assert (up.port, up.payload, up.is_data) == (port, case.wire, bool(case.wire))
            if server != "milesight" or product.startswith("milesight"):
                assert up.product == product
            unwrapped = case.model_copy(update={"hex": up.payload.hex(), "text": None, "port": up.port})
            assert [str(one) for one in run_case(loaded.product, file, unwrapped).differences] == [], case.name
            read += case.error is None
    assert read
