"""The chapter's double loop as JAX can and cannot run it, and the chapter's layer as a pytree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax

if TYPE_CHECKING:
    from collections.abc import Callable

    Operator = Callable[[Any, Any], Any]


def literal(x: Any, k: Any) -> Any:
    """Run the chapter's loop letter for letter; JAX answers with its TypeError about immutable arrays."""
    (h, w), Y = k.shape, _zeros(x, k)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = _element(x[i : i + h, j : j + w], k)
    return Y


def idiomatic(x: Any, k: Any) -> Any:
    """Run the loop as JAX users write it; in its first gradient every element is a compilation of its own."""
    (h, w), Y = k.shape, _zeros(x, k)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y = Y.at[i, j].set(_element(x[i : i + h, j : j + w], k))
    return Y


def rolled(x: Any, k: Any) -> Any:
    """Run the same double loop in a form for ``jax.jit``, which unrolls Python's own loops and compiles for seconds."""

    def row(i: Any, Y: Any) -> Any:
        def element(j: Any, Y: Any) -> Any:
            return Y.at[i, j].set(_element(lax.dynamic_slice(x, (i, j), k.shape), k))

        return lax.fori_loop(0, Y.shape[1], element, Y)

    Y = _zeros(x, k)
    return lax.fori_loop(0, Y.shape[0], row, Y)


def stacked(x: Any, k: Any) -> Any:
    """Run the double loop without assignment: the elements are collected and stacked."""
    h, w = k.shape
    H, W = x.shape[0] - h + 1, x.shape[1] - w + 1
    elements = [_element(x[i : i + h, j : j + w], k) for i in range(H) for j in range(W)]
    return jnp.stack(elements).reshape(H, W)


def _zeros(x: Any, k: Any) -> Any:
    return jnp.zeros((x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1), x.dtype)


def _element(window: Any, k: Any) -> Any:
    return (window * k).sum(dtype=window.dtype)  # without its dtype, a sum of small integers widens to int64


@jax.tree_util.register_pytree_node_class
class Conv2D:
    """A layer as JAX knows it: a pytree whose leaves ``weight`` and ``bias`` are what a gradient is taken of.

    ``operator(x, weight)`` belongs to its structure: one of the double loops, which with a bias of shape ``(1,)``
    makes it the chapter's layer, or the built-in convolution of one channel, where a bias of None takes no part.
    """

    def __init__(self, weight: Any, bias: Any | None, operator: Operator) -> None:
        self.weight, self.bias, self.operator = weight, bias, operator

    def __call__(self, x: Any) -> Any:
        """Apply the layer to an image."""
        y = self.operator(x, self.weight)
        return y if self.bias is None else y + self.bias

    def tree_flatten(self) -> tuple[tuple[Any, Any], Operator]:
        """Return leaves and structure, as ``jax.tree_util`` asks for them."""
        return (self.weight, self.bias), self.operator

    @classmethod
    def tree_unflatten(cls, operator: Operator, leaves: tuple[Any, Any]) -> Conv2D:
        """Build the layer of this structure with these leaves, which during a transformation are no arrays."""
        weight, bias = leaves
        return cls(weight, bias, operator)


def apply(layer: Conv2D, x: Any) -> Any:
    """Apply a layer: a function for ``jax.jit``, which takes the layer apart into its leaves."""
    return layer(x)


def step(layer: Conv2D, x: Any, y: Any, lr: float, train_bias: bool) -> tuple[Any, Conv2D]:
    """Take one step of the chapter's training (In [8]): the loss before it, and the layer after it."""
    loss, slope = jax.value_and_grad(lambda layer: ((layer(x) - y) ** 2).sum())(layer)
    after = jax.tree_util.tree_map(lambda parameter, gradient: parameter - lr * gradient, layer, slope)
    return loss, after if train_bias else Conv2D(after.weight, layer.bias, layer.operator)


def pull_back(x: Any, k: Any, dy: Any, loop: Operator) -> Any:
    """Return the gradients of ``sum(loop(x, k) * dy)`` with respect to x and k."""
    return jax.vjp(loop, x, k)[1](dy)
