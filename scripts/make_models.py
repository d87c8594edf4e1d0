"""Write models of true size with random weights, where real ones cannot be had.

    python scripts/make_models.py --like .servers/models/whisper/base
                                                          into .servers/models
    python scripts/make_models.py --like .servers/models/whisper/base --into models
                                                          elsewhere

They are two LLM shapes and Whisper small. The LLM folders have no weights (vLLM makes them:
--load-format dummy). Memory and speed are those of the size; the text is noise, so output lengths
are fixed and no word error rate is measured. Exit: 0 written, 2 bad input, 3 set-up.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.rig.random_whisper import write_whisper
from objectives.rig.tiny_llm import write_llm
from study.cli.exit_codes import exiting
from study.cli.parser import parser

SHAPES = {
    "llm-19b": {"hidden_size": 6144, "intermediate": 16384, "layers": 48, "heads": 48},
    "llm-7b": {"hidden_size": 4096, "intermediate": 14336, "layers": 32, "heads": 32},
}


def main() -> None:
    """Write every model."""
    options = parser(__doc__)
    options.add_argument(
        "--into",
        type=Path,
        default=Path(".servers/models"),
        metavar="DIR",
        help="default .servers/models",
    )
    options.add_argument(
        "--like",
        type=Path,
        required=True,
        metavar="DIR",
        help="a real multilingual Whisper, for its words",
    )
    arguments = options.parse_args()
    with exiting():
        for name, shape in SHAPES.items():
            folder = arguments.into / name
            write_llm(folder, **shape, kv_heads=8, head_dim=128, vocab=32000, dtype="bfloat16")
            print(folder)
        write_whisper(arguments.into / "whisper/small-random", arguments.like)
        print(arguments.into / "whisper/small-random")


if __name__ == "__main__":
    main()
