"""What serves: the services of a study, and how each is started. Pure."""

from __future__ import annotations

from typing import Literal

Service = Literal["llm", "stt"]
