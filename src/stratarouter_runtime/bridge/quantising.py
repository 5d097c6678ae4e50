"""The faster variant of MiniLM: made once, in a process of its own, and kept in a folder.

The weights are brought back to floats, and onnxruntime is told to quantise activations as they come,
a channel at a time. Its vectors differ a little from those of the model as shipped, so it has an
identity of its own. Must never know: who encodes with it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from stratarouter_runtime.errors import InvalidSetting


def variant(source: Path, source_sha256: str, cache: Path) -> Path:
    """The variant of `source` in `cache`, made there if it is missing or damaged.

    Its name holds the hash of the source and the version of onnxruntime. Raises `InvalidSetting`
    where it cannot be made.
    """
    name = f"minilm-fast-{source_sha256[:12]}-onnxruntime-{version('onnxruntime')}.onnx"
    made, seal = cache / name, cache / f"{name}.sha256"
    if _intact(made, seal):
        return made
    check_makeable()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="making-", dir=cache) as folder:
            fresh = Path(folder) / name
            _make(source, fresh)
            # The seal comes last: what has one is whole, whoever made it at the same time.
            sealed = Path(folder) / seal.name
            sealed.write_text(_sha256(fresh), encoding="ascii")
            fresh.replace(made)
            sealed.replace(seal)
    except OSError as error:
        raise InvalidSetting(
            f"the encoder 'minilm-fast' cannot be made in {cache}: {error.strerror}",
            hint="name another folder with encoder.cache, or choose the encoder 'minilm'",
        ) from None
    return made


def check_makeable() -> None:
    """Raise `InvalidSetting` where what it takes is not installed."""
    if find_spec("onnx") is None:
        raise InvalidSetting(
            "the encoder 'minilm-fast' has to be made first, and there is no package 'onnx'",
            hint="pip install 'stratarouter-runtime[fast]', or choose the encoder 'minilm'",
        )


def _make(source: Path, target: Path) -> None:
    """In a process of its own: it takes a hundred megabytes that nobody needs afterwards."""
    command = [sys.executable, "-m", __name__, str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode != 0 or not target.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise InvalidSetting(
            f"the encoder 'minilm-fast' could not be made: {last[:300]}",
            hint="choose the encoder 'minilm', which needs nothing made",
        )


def _intact(made: Path, seal: Path) -> bool:
    return made.is_file() and seal.is_file() and seal.read_text(encoding="ascii") == _sha256(made)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def quantise(source: Path, target: Path) -> None:
    """Fold the constants of `source`, which leaves floats, and quantise what is left into `target`."""
    from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions  # noqa: PLC0415 - heavy
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415 - likewise

    floats = target.with_suffix(".floats.onnx")
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(floats)
    InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    quantize_dynamic(str(floats), str(target), per_channel=True, weight_type=QuantType.QInt8)


if __name__ == "__main__":
    quantise(Path(sys.argv[1]), Path(sys.argv[2]))
