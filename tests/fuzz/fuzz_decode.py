"""Coverage-guided fuzzing of framers and codecs with atheris.

    pip install atheris
    python tests/fuzz/fuzz_decode.py [--seconds 600] [--corpus tests/fuzz/corpus] [product ...]

The golden frames of all products and the kept corpus are the seeds. Every input goes to one product: as a stream, as a
frame, or as a frame with lengths and check values mended. Found means: anything raised but a DecodeError, or the two
codecs disagree. At the end it prints the inputs tried and the slowest one in microseconds of CPU per byte, and writes
the corpus (some of what reached new code, capped per product) back.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
KEPT = 60  # inputs of a product in the kept corpus
LARGEST = 600  # bytes of a kept input
_LIMITS = ("-max_len=4096", "-timeout=20", "-rss_limit_mb=2048")


def read_corpus(folder: Path) -> dict[str, list[bytes]]:
    """Inputs by product, from `<product>.hex`: one input in hex a line."""
    return {
        path.stem: [bytes.fromhex(line) for line in path.read_text("ascii").split()]
        for path in sorted(folder.glob("*.hex"))
    }


def main() -> None:
    sys.path.insert(0, str(ROOT))  # a script finds only what stands beside it
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("products", nargs="*")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        seeds, figures = Path(scratch) / "inputs", Path(scratch) / "figures"
        seeds.mkdir()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.fuzz.fuzz_target", str(options.corpus.resolve()), str(figures)]
        command += [",".join(options.products), str(seeds), f"-artifact_prefix={Path.cwd()}/", *_LIMITS]
        command.append(f"-max_total_time={options.seconds}")
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        print(figures.read_text() if figures.exists() else "no figures", end="")
        if status == 0:
            keep(seeds, options.corpus)
    sys.exit(status)


def keep(inputs: Path, corpus: Path) -> None:
    """A fixed choice of the fuzzer's inputs, by product."""
    from gateway.specs import load_catalog
    from tests.fuzz.attempt import forms_of

    names = list(forms_of(load_catalog()))
    by_product: dict[str, list[bytes]] = {}
    for path in inputs.iterdir():
        raw = path.read_bytes()
        if 3 < len(raw) <= LARGEST:
            by_product.setdefault(names[raw[0] % len(names)], []).append(raw[1:])
    corpus.mkdir(exist_ok=True)
    for name, found in by_product.items():
        chosen = sorted(set(found), key=lambda raw: hashlib.sha256(raw).digest())[:KEPT]
        lines = sorted((raw.hex() for raw in chosen), key=lambda text: (len(text), text))
        (corpus / f"{name}.hex").write_text("".join(f"{line}\n" for line in lines), "ascii")


if __name__ == "__main__":
    main()
