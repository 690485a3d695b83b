"""The density and the classifier behind the synthetic rows, and their parameters.

Drawing a row has four steps, each fitted to real rows by ``tools/fit_synthetic.py``:

1. a point from a mixture of Gaussians in seven coordinates, all rows together;
2. each coordinate through a table that gives it its real marginal distribution; the seven are
   what is left of two leptons and a missing momentum once the rotation about the beam, the
   mirror image and the exchange of the beam's two ends (all of them symmetries) are taken out;
3. whether a jet decides MET_rel, from a small network, and by how much, from a table;
4. the log odds of class 1, from an ensemble of small networks.

``reproduction.susy.kinematics`` makes the derived features. All arithmetic gives the same bits on
every machine (see ``portable_math``).
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from reproduction.susy.kinematics import Event
from reproduction.susy.portable_math import (
    angle_between_0_and_pi,
    dyadic,
    exp,
    log,
    logistic,
    normals,
    sincos,
)

Array = np.ndarray

PARAMETERS = Path(__file__).with_name("synthetic_params.npz")
COORDINATES = 7
UNIFORMS_FOR_EVENTS = 12
UNIFORMS_FOR_JETS = 2

LEPTON_PT_CUT = 0.1330
"""Just below the smallest transverse momentum of a lepton in the file, units of M_R."""
ETA_CUT = 2.5
MET_SCALE = 0.3
"""Where the coordinates of the missing momentum turn from linear to logarithmic, units of M_R."""
TABLE_STEP = 0.125
"""Distance of a table's knots, in standard deviations."""

MET_REL_INPUTS = 2
"""The last inputs of the label's networks need MET_rel; those of the jets' network do without."""


@dataclass(frozen=True)
class Parameters:
    """What the fit found. c components, k knots, m networks in the label's ensemble, h units."""

    weights: Array  # (c,) cumulated, the last one 1
    means: Array  # (c, 7)
    factors: Array  # (c, 7, 7) lower triangles: covariance = factor @ factor.T
    tables: Array  # (7, k) coordinate at z = (index - (k - 1) / 2) * TABLE_STEP
    input_mean: Array  # (inputs,)
    input_scale: Array  # (inputs,)
    jet_hidden: Array  # (inputs - MET_REL_INPUTS + 1, h) weights, then biases
    jet_out: Array  # (h + 1,)
    jet_angles: Array  # (k,) quantiles of the jet's angle as a share of what it may be
    label_first: Array  # (m, inputs + 1, h)
    label_second: Array  # (m, h + 1, h)
    label_out: Array  # (m, h + 1)
    held_out_below: Array  # (2,) uint64, see reproduction.susy.holdout


def load_parameters(path: Path = PARAMETERS) -> Parameters:
    """The parameters from an .npz file, without pickle. Raises OSError, KeyError, ValueError."""
    with np.load(path, allow_pickle=False) as arrays:
        found = {field.name: arrays[field.name] for field in fields(Parameters)}
    return Parameters(
        **{
            name: array if array.dtype == np.uint64 else array.astype(np.float64)
            for name, array in found.items()
        }
    )


def coordinates(event: Event) -> Array:
    """The seven coordinates of real events, (n, 7): the inverse of ``events`` below.

    For fitting alone: it uses numpy's own functions.
    """
    turn = np.where(np.sin(event.phi2 - event.phi1) < 0, -1.0, 1.0)
    between = np.arccos(np.clip(np.cos(event.phi2 - event.phi1), -1, 1))
    angle = turn * (event.met_phi - event.phi1)
    size = event.met / MET_SCALE
    return np.stack(
        [
            np.log(event.pt2 - LEPTON_PT_CUT),
            np.log(event.pt1 / event.pt2 - 1 + 1e-6),
            event.eta1,
            event.eta2,
            between,
            np.arcsinh(size * np.cos(angle)),
            np.arcsinh(size * np.sin(angle)),
        ],
        axis=1,
    )


def events(p: Parameters, uniform: Array) -> Event:
    """As many events as ``uniform`` (12, n) has columns."""
    z = normals(uniform[:8])
    component = np.searchsorted(p.weights, uniform[8], side="right")
    point = []
    for row in range(COORDINATES):
        value = p.means[component, row]
        for column in range(row + 1):
            value = value + p.factors[component, row, column] * z[column]
        point.append(_look_up(p.tables[row], value))
    log_pt2, log_ratio, eta1, eta2, between, along, across = point
    pt2 = LEPTON_PT_CUT + exp(log_pt2)
    pt1 = pt2 * (1 + exp(log_ratio))
    between = np.abs(_folded(between, np.pi))
    along, across = MET_SCALE * _sinh(along), MET_SCALE * _sinh(across)
    met_angle = angle_between_0_and_pi(np.abs(across), along) * np.where(across < 0, -1.0, 1.0)
    # The three symmetries: ends of the beam, mirror image, rotation about the beam.
    end = np.where(uniform[9] < 0.5, -1.0, 1.0)
    mirror = np.where(uniform[10] < 0.5, -1.0, 1.0)
    phi1 = np.pi * (2 * uniform[11] - 1)
    return Event(
        pt1=pt1,
        eta1=end * _folded(eta1, ETA_CUT),
        phi1=phi1,
        pt2=pt2,
        eta2=end * _folded(eta2, ETA_CUT),
        phi2=_wrapped(phi1 + mirror * between),
        met=np.sqrt(along * along + across * across),
        met_phi=_wrapped(phi1 + mirror * met_angle),
    )


def met_rel_share(p: Parameters, event: Event, inputs: Array, uniform: Array) -> Array:
    """MET_rel as a share of what the leptons alone make it, (n,); ``uniform`` is (2, n)."""
    values = dyadic((inputs - p.input_mean) / p.input_scale)[:, :-MET_REL_INPUTS]
    hidden = dyadic(np.maximum(values @ p.jet_hidden[:-1] + p.jet_hidden[-1], 0.0))
    log_odds = hidden @ p.jet_out[:-1] + p.jet_out[-1]
    has_jet = log_odds + logistic(uniform[0]) > 0
    room = np.minimum(nearest_lepton(event), np.pi / 2)
    knots = len(p.jet_angles) - 1
    part = _look_up(p.jet_angles, (uniform[1] - 0.5) * knots * TABLE_STEP)
    sine, _ = sincos(np.clip(part, 0.0, 1.0) * room)
    full, _ = sincos(room)
    return np.where(has_jet, sine / np.maximum(full, 1e-300), 1.0)


def log_odds(p: Parameters, inputs: Array) -> Array:
    """Log odds of class 1, (n,), from ``label_inputs``."""
    values = dyadic((inputs - p.input_mean) / p.input_scale)
    total = np.zeros(len(values))
    for first, second, out in zip(p.label_first, p.label_second, p.label_out, strict=True):
        hidden = dyadic(np.maximum(values @ first[:-1] + first[-1], 0.0))
        hidden = dyadic(np.maximum(hidden @ second[:-1] + second[-1], 0.0))
        total += hidden @ out[:-1] + out[-1]
    return total


def label_inputs(event: Event, columns: dict[str, Array], share: Array) -> Array:
    """What the networks see of an event, (n, 18): nothing that a symmetry changes."""
    sin1, cos1 = sincos(event.phi1)
    sin2, cos2 = sincos(event.phi2)
    sin_met, cos_met = sincos(event.met_phi)
    parts = [
        log(event.pt1),
        log(event.pt2),
        log(event.met),
        cos1 * cos2 + sin1 * sin2,
        cos1 * cos_met + sin1 * sin_met,
        cos2 * cos_met + sin2 * sin_met,
        np.abs(event.eta1 - event.eta2),
        np.abs(event.eta1 + event.eta2),
        log(columns["M_R"]),
        log(columns["S_R"]),
        log(columns["M_Delta_R"] + 1e-3),
        log(columns["M_TR_2"] + 1e-3),
        columns["MT2"],
        columns["dPhi_r_b"],
        columns["cos(theta_r1)"],
        columns["axial_MET"],
        np.minimum(share, 1.0),
        log(columns["MET_rel"] + 0.02),
    ]
    return np.stack(parts, axis=1)


def _sinh(x: Array) -> Array:
    grown = exp(x)
    return (grown - 1 / grown) / 2


def _wrapped(angle: Array) -> Array:
    return angle - 2 * np.pi * np.rint(angle / (2 * np.pi))


def _folded(x: Array, limit: float) -> Array:
    """``x`` with what lies beyond ``-limit`` or ``limit`` mirrored back in."""
    over = np.minimum(np.maximum(np.abs(x) - limit, 0.0), limit)
    return np.where(x < 0, x + 2 * over, x - 2 * over).clip(-limit, limit)


def nearest_lepton(event: Event) -> Array:
    """Angle between the missing momentum and the nearer lepton, (n,) in [0, pi]."""
    return np.minimum(
        np.abs(_wrapped(event.phi1 - event.met_phi)), np.abs(_wrapped(event.phi2 - event.met_phi))
    )


def _look_up(table: Array, z: Array) -> Array:
    """Linear between a table's knots, and on beyond its ends with the slope there."""
    position = z * (1 / TABLE_STEP) + (len(table) - 1) / 2
    index = np.clip(np.floor(position), 0, len(table) - 2).astype(np.int64)
    start = table[index]
    return start + (position - index) * (table[index + 1] - start)
