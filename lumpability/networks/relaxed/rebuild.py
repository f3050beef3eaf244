"""A network of layers with other weights: what stands before the first weights stays, then come dense layers.

Convolutions and what is between them become dense layers, because what is left of them need not be one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from lumpability.errors import InvalidInput, NotJustified
from lumpability.networks.difference import AffineLayer, AffineNetwork, affine_layers
from lumpability.networks.difference.affine import negative_slopes
from lumpability.networks.elementwise import Activate
from lumpability.networks.layers import Conv, Dense, Layer
from lumpability.networks.network import Network
from lumpability.networks.quotient import Rounding
from lumpability.networks.reshape import Flatten, Reshape
from lumpability.networks.unit_layout import fixed
from lumpability.numbers.float_arrays import Array, round_to


@dataclass(frozen=True, eq=False)
class Frame:
    """A network as affine layers, and how to make one with other weights.

    - affine: all of its layers
    - first: the first of these that has weights; those before it stay
    - dtype: in which new weights are stored
    """

    network: Network
    affine: AffineNetwork
    first: int
    dtype: np.dtype[np.floating]

    @classmethod
    def of(cls, network: Network, dtype: object = None) -> Frame:
        """Take a network apart, or raise `NotJustified` if a layer is not covered."""
        if not isinstance(network, Network):
            raise InvalidInput(
                f"regions are for networks that are chains of layers, not for a {type(network).__name__}"
            )
        shape = network.input_shape
        if len(shape) > 1 and shape[0] not in (None, 1):
            raise NotJustified(
                f"the network takes {shape[0]} inputs at once; covered is one at a time"
            )
        affine = affine_layers(network)
        if not affine.is_chain:
            raise NotJustified(
                "the network is no chain of layers: what joins branches or takes a maximum is reduced on a region "
                "as a graph, by lump alone, and where it was read from an ONNX file"
            )
        first = next((k for k, one in enumerate(affine.layers) if one.position is not None), None)
        if first is None:
            raise InvalidInput(
                "the network has no layer with weights, so there is nothing to reduce"
            )
        for layer in affine.layers[first:]:
            own = negative_slopes(layer.activation, layer.units)
            if own is not None and np.any(own != layer.slopes):
                raise NotJustified("slopes that differ between units (PReLU) are not covered here")
        stored = [values.dtype for layer in network.layers for values in layer.parameters.values()]
        kind = np.result_type(*stored) if dtype is None else np.dtype(dtype)  # type: ignore[call-overload]
        return cls(network, affine, first, kind)

    @property
    def layers(self) -> tuple[AffineLayer, ...]:
        """The layers from the first one with weights."""
        return self.affine.layers[self.first :]

    def weights(self) -> list[tuple[Array, Array]]:
        """Return the weights of these layers in a type that holds them."""
        found = []
        for layer in self.layers:
            parts = [round_to(values, self.dtype) for values in (layer.weight, layer.bias)]
            exact = not any(len(changed) for _, changed in parts)
            found.append((parts[0][0], parts[1][0]) if exact else (layer.weight, layer.bias))
        return found

    def rebuilt(
        self, weights: Sequence[Array], biases: Sequence[Array]
    ) -> tuple[Network, int, Rounding]:
        """Return the network with other weights, how many layers it lacks, and what was rounded.

        Layers without units are left out: the next layer then reads the input with weights zero.
        """
        empty = [k for k, matrix in enumerate(weights[:-1]) if not matrix.shape[1]]
        skipped = empty[-1] + 1 if empty else 0
        before = self.network.layers[: self._position()]
        shape = self.network.shapes[len(before)]
        layers: list[Layer] = [*before]
        if len(shape) > 2:
            layers.append(Flatten(1))
        rounding = Rounding()
        own = [layer for layer in self.network.layers if isinstance(layer, Dense)]
        named = len(own) == len(weights) and not any(
            isinstance(one, Conv) for one in self.network.layers
        )
        for number in range(skipped, len(weights)):
            matrix = weights[number]
            if number == skipped and skipped:
                matrix = np.zeros((weights[0].shape[0], matrix.shape[1]))
            (stored, a), (bias, b) = (
                round_to(values, self.dtype) for values in (matrix, biases[number])
            )
            rounding += Rounding(
                stored.size + bias.size, len(a) + len(b), max([Fraction(0), *a, *b])
            )
            name = own[number].name if named else None
            added = bias.any() or (name is not None and own[number].bias is not None)
            layers.append(Dense(stored, bias if added else None, name))
            if self.layers[number].activation.name != "identity":
                layers.append(Activate(self.layers[number].activation))
        made = replace(self.network, layers=tuple(layers))
        if made.output_shape != self.network.output_shape:
            wanted = self.network.output_shape
            free = wanted[:1] == (None,)
            target = (-1, *fixed(wanted[1:])) if free else fixed(wanted)
            made = replace(self.network, layers=(*layers, Reshape(target)))
        return made, skipped, rounding

    def _position(self) -> int:
        return next(
            number
            for number, layer in enumerate(self.network.layers)
            if isinstance(layer, Dense | Conv)
        )
