"""What a force or drift says about itself beyond its signature, so that a batch of samples can share work.

A plain function is called once a sample, with tensors [1, C, H, W] and that sample's own state: it was written for
one sample, and so cannot mix two. One that declares itself batched gets [N, C, H, W] and the batch's state, and
promises to treat the rows independently and to write into nothing but its state: the tensors are those that everybody
else works with, where a function of one sample has copies.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from diffrun_worker.inference.moment import Moment

F = TypeVar("F", bound=Callable[..., Any])

ClassesNeeded = Callable[[Any, Moment, tuple[str, ...]], Iterable[str]]
"""The classes, by name, whose predictions a force will use at a step.

Gets the force's parameters (the declared model, or its configuration as a dict), the step, and all of the
checkpoint's classes. Where it names any, the null class is evaluated beside them.
"""

_ATTRIBUTE = "__diffrun_traits__"


@dataclass(frozen=True)
class Traits:
    """A function's own declarations."""

    params: type[BaseModel] | None = None
    """The model of its parameters; without one it takes any."""
    batched: bool = False
    """Whether it takes a whole batch, treats its rows independently, and only reads the tensors that it gets."""
    classes: ClassesNeeded | None = None
    """What is evaluated for it in the step's one forward pass, beside what it asks for itself."""


def declare(
    *, params: type[BaseModel] | None = None, batched: bool = False, classes: ClassesNeeded | None = None
) -> Callable[[F], F]:
    """A decorator for forces and drifts of other packages and of the user."""

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, Traits(params, batched, classes))
        return function

    return mark


def traits_of(function: Callable[..., Any]) -> Traits:
    """What a function has declared; the defaults where it has not."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, Traits) else Traits()
