"""The forward pass of a multilayer perceptron, its slopes and its layers on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from src.v2.modeling.feature_rows import Matrix
from src.v2.modeling.learners.array_files import take_array
from src.v2.modeling.learners.logistic import softmax

Array = np.ndarray[Any, Any]

Layers = tuple[tuple[Matrix, Matrix], ...]
"""Weights (inputs, outputs) and biases of each layer."""


def forward(layers: Layers, scaled: Matrix) -> Array:
    """Run standardised rows through a network: (rows, outputs)."""
    signal: Array = scaled
    for weights, biases in layers[:-1]:
        signal = np.maximum(signal @ weights + biases, 0)
    return np.asarray(signal @ layers[-1][0] + layers[-1][1])


def slopes(layers: Layers, scaled: Matrix) -> Array:
    """Slopes of the outputs at one standardised row: (features, outputs)."""
    signal, found = scaled.astype(np.float64), np.eye(len(scaled))
    for weights, biases in layers[:-1]:
        signal = signal @ weights + biases
        found = (found @ weights) * (signal > 0)
        signal = np.maximum(signal, 0)
    return np.asarray(found @ layers[-1][0])


def shares(margin: Array) -> Array:
    """Turn margins into probabilities of all classes: (rows, classes)."""
    scores = margin.astype(np.float64)
    if scores.shape[1] == 1:
        scores = np.column_stack([np.zeros(len(scores)), scores])
    return softmax(scores)


def read_layers(arrays: dict[str, Array], count: int, inputs: int, outputs: int) -> Layers:
    """Take the layers that were saved, each as wide as the one before it gives.

    Raises
    ------
    ValueError
        When they do not fit together.
    """
    layers = []
    for each in range(count):
        ends = outputs if each == count - 1 else None
        weights = take_array(arrays, f"weights_{each}", (inputs, ends), np.float32)
        inputs = weights.shape[1]
        layers.append((weights, take_array(arrays, f"biases_{each}", (inputs,), np.float32)))
    if not layers:
        raise ValueError("no layers")
    return tuple(layers)
