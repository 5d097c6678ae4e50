"""The one place where an encoder is chosen by name.

The choice is the operator's and explicit: another encoder means other distances, so
nothing here falls back from one to another by itself. Must never know: who asks, or
what is routed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias

from stratarouter_runtime.bridge.encoder import Encoder, Place
from stratarouter_runtime.errors import InvalidSetting

EncoderName: TypeAlias = Literal["minilm", "minilm-fast", "universal", "lexical"]
ENCODERS: Final[tuple[EncoderName, ...]] = ("minilm", "minilm-fast", "universal", "lexical")
"""Those that run in this process."""


CACHE: Final = Path(".strata/encoders")
"""Where variants of a model are kept that were made here."""


def open_encoder(
    name: str, *, folder: Path | None = None, cache: Path = CACHE, place: Place | None = None
) -> Encoder:
    """The encoder of this name; raises `InvalidSetting` where it is unknown or not installed.

    `folder` is where `minilm` finds its `model.onnx` and `tokenizer.json`, instead of in the
    packages of the extra `embed`; `cache` where `minilm-fast` is kept once it was made; `place` is
    what `endpoint` asks. Nothing heavy is loaded, and nobody asked, before the first text.
    """
    match name:
        case "minilm":
            from stratarouter_runtime.bridge.minilm import MiniLM, find_files  # noqa: PLC0415 - start-up cost

            return MiniLM(find_files(folder))
        case "minilm-fast":
            from stratarouter_runtime.bridge.minilm import FastMiniLM, find_files  # noqa: PLC0415 - start-up cost

            return FastMiniLM(find_files(folder), cache)
        case "universal":
            from stratarouter_runtime.bridge.universal import Universal, find_folder  # noqa: PLC0415 - start-up cost

            return Universal(find_folder())
        case "endpoint":
            from stratarouter_runtime.bridge.endpoint import Endpoint  # noqa: PLC0415 - start-up cost

            return Endpoint(place or Place("", "", 0))
        case "lexical":
            from stratarouter_runtime.bridge.lexical import HashedNgrams  # noqa: PLC0415 - start-up cost

            return HashedNgrams()
        case _:
            raise InvalidSetting(
                f"there is no encoder '{name}'", hint=f"choose one of: {', '.join((*ENCODERS, 'endpoint'))}"
            )
