"""Updates and optimizers of ours beside optax's, by name, where the two define the same."""

from __future__ import annotations

from typing import Any

import optax
from axon import optimizers, schedules, updates
from axon.updates import Update

OURS_COSINE = schedules.cosine_decay(0.1, decay_steps=20, alpha=0.5)
THEIR_COSINE = optax.cosine_decay_schedule(0.1, 20, 0.5)
OURS_FALLING = schedules.exponential_decay(0.1, decay_rate=0.5, transition_steps=7)
THEIR_FALLING = optax.exponential_decay(0.1, 7, 0.5)


def yogi_from_zero(theirs: optax.GradientTransformation) -> optax.GradientTransformation:
    """optax's, with the average of the gradients begun at zero, as the paper has it."""

    def start(params: Any) -> Any:
        state = theirs.init(params)
        parts = (state,) if hasattr(state, "mu") else state
        made = tuple(s._replace(mu=optax.tree.zeros_like(s.mu)) if hasattr(s, "mu") else s for s in parts)
        return made[0] if hasattr(state, "mu") else made

    return optax.GradientTransformation(start, theirs.update)


OURS_AND_THEIRS: dict[str, tuple[Update, Any]] = {
    "scale": (updates.scale(-0.5), optax.scale(-0.5)),
    "clip": (updates.clip(0.3), optax.clip(0.3)),
    "clip_by_global_norm": (updates.clip_by_global_norm(2.0), optax.clip_by_global_norm(2.0)),
    "trace": (updates.trace(decay=0.8), optax.trace(0.8)),
    "nesterov": (updates.trace(decay=0.8, nesterov=True), optax.trace(0.8, nesterov=True)),
    "add_decayed_weights": (updates.add_decayed_weights(0.1), optax.add_decayed_weights(0.1)),
    "scheduled decay": (updates.add_decayed_weights(OURS_COSINE), optax.add_decayed_weights(THEIR_COSINE)),
    "centralize": (updates.centralize(axis=0), optax.centralize()),
    "scale_by_adam": (updates.scale_by_adam(eps_root=1e-15), optax.scale_by_adam(eps_root=1e-15)),
    "scale_by_adam without memory": (
        updates.scale_by_adam(b1=0.0, b2=0.0, eps=1e-3),
        optax.scale_by_adam(0.0, 0.0, eps=1e-3, eps_root=1e-15),
    ),
    "scale_by_belief, other numbers": (
        updates.scale_by_belief(b1=0.5, b2=0.9, eps=1e-3, eps_root=1e-4),
        optax.scale_by_belief(b1=0.5, b2=0.9, eps=1e-3, eps_root=1e-4),
    ),
    "scale_by_radam, other numbers": (
        updates.scale_by_radam(b1=0.5, b2=0.9, eps=1e-3, eps_root=1e-4, threshold=6.5),
        optax.scale_by_radam(b1=0.5, b2=0.9, eps=1e-3, eps_root=1e-4, threshold=6.5),
    ),
    "scale_by_radam, never enough": (updates.scale_by_radam(b2=0.5), optax.scale_by_radam(b2=0.5)),
    "scale_by_yogi, other numbers": (
        updates.scale_by_yogi(b1=0.5, b2=0.9, eps=1e-2, eps_root=1e-4, initial_accumulator_value=0.5),
        yogi_from_zero(optax.scale_by_yogi(0.5, 0.9, 1e-2, 1e-4, 0.5)),
    ),
    "scale_by_rss from zero": (
        updates.scale_by_rss(initial_accumulator_value=0.0, eps=1e-2),
        optax.scale_by_rss(0.0, 1e-2),
    ),
    "scale_by_rms, other numbers": (
        updates.scale_by_rms(decay=0.5, eps=1e-2, initial_scale=2.0),
        optax.scale_by_rms(0.5, 1e-2, 2.0),
    ),
    "scale_by_stddev, other numbers": (
        updates.scale_by_stddev(decay=0.5, eps=1e-2, initial_scale=2.0),
        optax.scale_by_stddev(0.5, 1e-2, 2.0),
    ),
    "scale_by_trust_ratio": (updates.scale_by_trust_ratio(), optax.scale_by_trust_ratio()),
    "scale_by_trust_ratio, other numbers": (
        updates.scale_by_trust_ratio(min_norm=3.0, trust_coefficient=0.1, eps=0.5),
        optax.scale_by_trust_ratio(3.0, 0.1, 0.5),
    ),
    "scale_by_schedule": (updates.scale_by_schedule(OURS_COSINE), optax.scale_by_schedule(THEIR_COSINE)),
    "scale_by_schedule of a plain number": (updates.scale_by_schedule(lambda step: 0.5), optax.scale(0.5)),
    "sgd": (optimizers.sgd(0.1), optax.sgd(0.1)),
    "momentum": (optimizers.sgd(0.1, momentum=0.9, nesterov=True), optax.sgd(0.1, momentum=0.9, nesterov=True)),
    "adabelief": (optimizers.adabelief(0.01), optax.adabelief(0.01, eps=0.0)),
    "adabelief with a schedule": (
        optimizers.adabelief(OURS_FALLING, b1=0.8, b2=0.99, eps=1e-4),
        optax.adabelief(THEIR_FALLING, 0.8, 0.99, 1e-4),
    ),
    "adagrad": (optimizers.adagrad(0.01), optax.adagrad(0.01)),
    "adagrad with a schedule": (
        optimizers.adagrad(OURS_FALLING, initial_accumulator_value=0.5, eps=1e-3),
        optax.adagrad(THEIR_FALLING, 0.5, 1e-3),
    ),
    "adam": (optimizers.adam(0.01, eps_root=0.0), optax.adam(0.01)),
    "adam with a schedule": (
        optimizers.adam(OURS_FALLING, b1=0.8, eps_root=0.0), optax.adam(THEIR_FALLING, b1=0.8),
    ),
    "adamw": (optimizers.adamw(0.01, decay=0.1), optax.adamw(0.01, weight_decay=0.1)),
    "adamw with schedules": (
        optimizers.adamw(OURS_FALLING, decay=OURS_COSINE), optax.adamw(THEIR_FALLING, weight_decay=THEIR_COSINE),
    ),
    "fromage": (optimizers.fromage(0.1), optax.fromage(0.1)),
    "fromage with a schedule": (
        optimizers.fromage(OURS_COSINE, min_norm=3.0), optax.fromage(THEIR_COSINE, min_norm=3.0),
    ),
    "lamb": (optimizers.lamb(0.1), optax.lamb(0.1, eps=1e-8)),
    "lamb with a schedule": (
        optimizers.lamb(OURS_FALLING, decay=0.1, b1=0.8, b2=0.99, eps=1e-6),
        optax.lamb(THEIR_FALLING, 0.8, 0.99, weight_decay=0.1),
    ),
    "radam": (optimizers.radam(0.01), optax.radam(0.01)),
    "radam with a schedule": (
        optimizers.radam(OURS_FALLING, b1=0.8, b2=0.99, threshold=7.0),
        optax.radam(THEIR_FALLING, 0.8, 0.99, threshold=7.0),
    ),
    "rmsprop": (optimizers.rmsprop(0.01), optax.rmsprop(0.01)),
    "centered rmsprop": (
        optimizers.rmsprop(0.01, centered=True, decay=0.8, initial_scale=1.0),
        optax.rmsprop(0.01, 0.8, initial_scale=1.0, centered=True),
    ),
    "rmsprop with momentum and a schedule": (
        optimizers.rmsprop(OURS_FALLING, centered=True, momentum=0.9),
        optax.rmsprop(THEIR_FALLING, centered=True, momentum=0.9),
    ),
    "rmsprop with nesterov": (
        optimizers.rmsprop(OURS_FALLING, momentum=0.8, nesterov=True, eps=1e-4),
        optax.rmsprop(THEIR_FALLING, eps=1e-4, momentum=0.8, nesterov=True),
    ),
    "yogi": (optimizers.yogi(0.01), yogi_from_zero(optax.yogi(0.01))),
    "yogi with a schedule": (
        optimizers.yogi(OURS_FALLING, b1=0.8, b2=0.99, eps=1e-2),
        yogi_from_zero(optax.yogi(THEIR_FALLING, 0.8, 0.99, 1e-2)),
    ),
    "apply_if_finite": (
        updates.apply_if_finite(optimizers.adam(OURS_FALLING, b1=0.8, eps_root=0.0)),
        optax.apply_if_finite(optax.adam(THEIR_FALLING, b1=0.8), 10),
    ),
    "a chain": (
        updates.clip_by_global_norm(1.0) | updates.scale_by_adam() | updates.trace(decay=0.5) | updates.scale(-0.1),
        optax.chain(
            optax.clip_by_global_norm(1.0), optax.scale_by_adam(eps_root=1e-15), optax.trace(0.5), optax.scale(-0.1)
        ),
    ),
}  # fmt: skip
