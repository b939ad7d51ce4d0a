"""Names that the writer and the reader of a package share."""

from __future__ import annotations

MODEL_ARTIFACT = "model"
"""Artifact of a package: the model's folder."""

REFERENCE_ARTIFACT = "reference"
"""Artifact of a package: the folder of `src.v2.serving.reference`."""

AS_OF = "as_of"
"""Parameter of a request: the decision date."""
