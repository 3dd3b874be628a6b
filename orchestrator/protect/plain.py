# SPDX-License-Identifier: Apache-2.0
"""Protection `none`: the model's own file is delivered and opened; what protects it is the world alone."""

from __future__ import annotations

from orchestrator.protect.deployable import Deployable, Opening, Sought
from orchestrator.protect.protection import Given, Protection


def plain_model(given: Given) -> Sought:
    """What every protection of a model has to hide."""
    return Sought("model", given.model.built, "the plain model")


def prepare(given: Given) -> Deployable:
    """The file as it is."""
    name = given.runtime.model_file
    return Deployable({name: given.model.built}, Opening(name), (plain_model(given),))


RECORD = Protection("none", "nothing: the model's own file is delivered", prepare)
