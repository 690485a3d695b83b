"""Features that are fields of a value, by their names: what all decoders of such values share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tfkafka._util import arguments
from tfkafka.decoding.base import ArraySpec, Spec
from tfkafka.decoding.missing import checked_missing, first_misfit, on_missing
from tfkafka.decoding.numbers import FLOAT32
from tfkafka.decoding.plan import LAYOUTS, DecoderPlan, field_plan
from tfkafka.decoding.sources import Field, quoted
from tfkafka.decoding.targets import WithTargets

_WHAT = "a list of names or Field(name)"


class WithFields(WithTargets):
    """A decoder's features, as the user gave them: the base of decoders of named fields."""

    fields: Sequence[str | Field]
    finite: bool | None
    features: Literal["matrix", "dict"]
    missing: Literal["bad", "nan"] | Mapping[str, float]

    @property
    def element_spec(self) -> tuple[Spec, ...]:
        """The features as `features` says, and the label and the weight, if there are any."""
        features: Spec = {each.name: each.spec for each in self._features}
        if self.features == "matrix":
            features = ArraySpec((sum(each.size for each in self._features),), FLOAT32)
        return features, *(source.spec for source in self._targets.values())

    def _check_fields(self) -> None:
        """Check all arguments, and keep each name as a `Field`."""
        who = type(self).__name__
        object.__setattr__(self, "fields", _checked_fields(f"{who}: fields", self.fields))
        self._check_targets(Field)
        self._refuse_weight_alone()
        self._refuse_twice(f"{who}: fields")
        arguments.optional(arguments.flag, f"{who}: finite", self.finite)
        arguments.choice(f"{who}: features", self.features, LAYOUTS)
        missing = checked_missing(f"{who}: missing", self.missing)
        object.__setattr__(self, "missing", missing)
        self._check_missing(f"{who}: missing")

    def _refuse_twice(self, name: str) -> None:
        """Raise ValueError where a field is more than one of features, label and weight."""
        seen = set()
        for field in (*self._features, *self._inside.values()):
            if field.name in seen:
                raise ValueError(
                    f"{name}: field {quoted(field.name)} is given twice: it can be one feature, or "
                    f"the label, or the sample weight"
                )
            seen.add(field.name)

    def _check_missing(self, name: str) -> None:
        """Raise ValueError where `missing` has no feature's name, or what does not fit its array.

        A matrix is float32, and so has nan and each number that is finite as float32.
        """
        dtypes = {each.name: self._dtype(each) for each in self._features}
        if isinstance(self.missing, Mapping):
            for field in self.missing:
                if field not in dtypes:
                    raise ValueError(
                        f"{name} has {arguments.shown(field)}, must have names of features: "
                        f"{arguments.shown([*dtypes])}"
                    )
        if (misfit := first_misfit(self.missing, dtypes)) is not None:
            raise ValueError(
                f"{name} is {on_missing(self.missing, misfit)} for field {quoted(misfit)}, must be "
                f"a whole number of {dtypes[misfit].name}, the type of the field: give one for it, "
                f"for example missing={{{misfit!r}: -1}}"
            )

    def _plan(self, format: str) -> DecoderPlan:
        """Return what the decoder does, as data.

        Args:
            format: what a value is.
        """
        fields = [
            field_plan(each, each.spec.dtype.name, on_missing(self.missing, each.name))
            for each in self._features
        ]
        label, weight = self._target_plans()
        return DecoderPlan(format, tuple(fields), self.features, label, weight, self.finite)

    @cached_property
    def _features(self) -> tuple[Field, ...]:
        return tuple(each for each in self.fields if isinstance(each, Field))

    @property
    def _inside(self) -> dict[str, Field]:
        """The label and the weight, where they are fields of the value."""
        return {what: each for what, each in self._targets.items() if isinstance(each, Field)}

    def _dtype(self, feature: Field) -> np.dtype[Any]:
        """Return the type of the array that a feature is put into."""
        return FLOAT32 if self.features == "matrix" else feature.spec.dtype


def _checked_fields(name: str, given: object) -> tuple[Field, ...]:
    listed = arguments.in_order(name, given, _WHAT)
    if not listed:
        raise ValueError(f"{name} is {arguments.shown(given)}, must be {_WHAT}")
    for each in listed:
        arguments.instance(name, each, (str, Field), _WHAT)
    return tuple(
        Field(arguments.text(name, each)) if isinstance(each, str) else each for each in listed
    )
