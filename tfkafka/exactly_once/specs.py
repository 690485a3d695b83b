"""Whether a decoder, a model and an encoder fit together, before the first record."""

from __future__ import annotations

from collections.abc import Mapping

from tfkafka._util import arguments
from tfkafka.decoding.base import ArraySpec, Decoder, Spec
from tfkafka.decoding.encoders.base import ANY_LENGTH, Encoder, described

_ADVICE = "give a decoder whose features the model takes, or your own function as predict="


def check_fit(decode: Decoder, predict: object, encoder: Encoder) -> None:
    """Raise ValueError where the features do not fit the model, or its output the encoder.

    Only a function that has `input_spec` and `output_spec` can be checked, as one of
    `keras_predict`.
    """
    refuse_other_classes(decode, encoder)
    wanted: Spec | None = getattr(predict, "input_spec", None)
    output: Spec | None = getattr(predict, "output_spec", None)
    if wanted is not None and decode.element_spec:
        check_features("decode", decode.element_spec[0], wanted)
    if output is not None:
        try:
            encoder.check(output)
        except ValueError as error:
            raise ValueError(f"encoder: the model's output {error}") from None
    if getattr(predict, "predicts_logits", False) and getattr(
        encoder, "writes_probabilities", False
    ):
        raise ValueError(
            f"predict: the loss of the model has from_logits=True, so its output is not a "
            f"probability, which {type(encoder).__name__} writes: add a sigmoid or a softmax as "
            f"the last layer"
        )


def refuse_other_classes(decode: Decoder, encoder: Encoder) -> None:
    """Raise ValueError where the decoder's label and the encoder have different classes.

    Both are the classes of the model's outputs, in their order.
    """
    label = getattr(getattr(decode, "label", None), "classes", None)
    written = getattr(encoder, "classes", None)
    if label and written and list(label) != list(written):
        raise ValueError(
            f"encoder: its classes are {arguments.shown(list(written))}, and those of the label of "
            f"decode are {arguments.shown(list(label))}: give both the same names, in the order of "
            f"the model's outputs"
        )


def check_features(who: str, given: Spec, wanted: Spec) -> None:
    """Raise ValueError, in one line, where features do not fit the inputs of a model.

    Args:
        who: what the message begins with.
        given: the spec of the features.
        wanted: that of the inputs.
    """
    inputs = wanted if isinstance(wanted, Mapping) else {"": wanted}
    if isinstance(given, ArraySpec):
        if len(inputs) > 1:
            raise ValueError(
                f"{who}: the features are one array, {described(given)}, and the model has the "
                f"inputs {', '.join(inputs)}: give a decoder whose features are a dict with these "
                f"names"
            )
        given = dict.fromkeys(inputs, given)
    missing = [name for name in inputs if name not in given]
    if missing:
        raise ValueError(
            f"{who}: the features are {', '.join(given)}, and the model has the inputs "
            f"{', '.join(inputs)}: {', '.join(missing)} are missing; {_ADVICE}"
        )
    for name, spec in inputs.items():
        if not _fits(given[name], spec):
            raise ValueError(
                f"{who}: the features {described(given[name])} do not fit the input "
                f"{name} of the model, {described(spec)}: {_ADVICE}"
            )


def _fits(given: ArraySpec, wanted: ArraySpec) -> bool:
    """Return whether Keras takes an array for an input: it adds or drops a last axis of 1."""
    if ("O" in (given.dtype.kind, wanted.dtype.kind)) and given.dtype.kind != wanted.dtype.kind:
        return False
    shapes = [given.shape]
    if wanted.shape[-1:] == (1,):
        shapes.append((*given.shape, 1))
    if given.shape[-1:] == (1,):
        shapes.append(given.shape[:-1])
    return any(
        len(shape) == len(wanted.shape)
        and all(b in (a, ANY_LENGTH) for a, b in zip(shape, wanted.shape, strict=True))
        for shape in shapes
    )
