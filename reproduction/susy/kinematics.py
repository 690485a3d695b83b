"""The derived SUSY features as functions of the low-level ones.

Each of the ten derived columns follows from the two leptons and the missing transverse momentum:
M_R, S_R, M_Delta_R, dPhi_r_b and cos(theta_r1) are the super-razor variables of Buckley, Lykken,
Rogan and Spiropulu, Phys. Rev. D 89, 055020 (2014), arXiv:1310.4827; M_TR_2 and R are the razor
variables of Rogan, arXiv:1006.2727; MT2 is the stransverse mass of Lester and Summers, Phys.
Lett. B 463 (1999) 99, for massless particles. MET_rel alone needs more than the two leptons:
where a jet lies nearer to the missing momentum than either of them, the jet's angle counts, and
jets aren't in the file.

The columns of the file are scaled, each in its own way. The constants below undo that. They were
found by solving the formulas for them on real rows, and hold there to about 1e-5
(``tools/fit_synthetic.py`` prints the agreement for each column). All masses and momenta are in
units of the file's M_R column.
"""

from dataclasses import dataclass

import numpy as np

from reproduction.susy.portable_math import angle_between_0_and_pi, exp, sincos

Array = np.ndarray

LEPTON_1_PT, LEPTON_2_PT = 0.523134260, 0.310786484
LEPTON_1_ETA, LEPTON_1_ETA_OFFSET = 1.18918238, 0.00103757789
LEPTON_2_ETA = 1.21386653
LEPTON_1_PHI, LEPTON_1_PHI_OFFSET = 1.8109090762655573, 0.0003924842613094807
LEPTON_2_PHI = 1.8112955293679602
MET, MET_PHI, MET_PHI_OFFSET = 0.58410582, 1.8118622591949811, -0.011857463518358348
MET_REL, AXIAL_MET, AXIAL_MET_OFFSET = 1.5011231, 1.7202800468745485, 0.3164037119996215
M_TR_2, R, MT2, S_R, M_DELTA_R = 2.035686856832366, 1.80645536, 4.4917850, 0.50184728, 1.6703787
DPHI_R_B = 0.50663974

# F(s) below is flat at its top, so that 24 halvings leave a relative error of 1e-12.
_MT2_HALVINGS = 24


@dataclass(frozen=True)
class Event:
    """What was measured in n collisions, each field an array (n,) of float64.

    Momenta are transverse and in units of M_R, angles in radians, ``eta`` is pseudorapidity.
    """

    pt1: Array
    eta1: Array
    phi1: Array
    pt2: Array
    eta2: Array
    phi2: Array
    met: Array
    met_phi: Array


def event_from_columns(columns: dict[str, Array]) -> Event:
    """Undo the scaling of the file's eight low-level columns (keyed by their names)."""
    c = columns
    return Event(
        pt1=c["lepton_1_pT"] * LEPTON_1_PT,
        eta1=c["lepton_1_eta"] * LEPTON_1_ETA + LEPTON_1_ETA_OFFSET,
        phi1=c["lepton_1_phi"] * LEPTON_1_PHI + LEPTON_1_PHI_OFFSET,
        pt2=c["lepton_2_pT"] * LEPTON_2_PT,
        eta2=c["lepton_2_eta"] * LEPTON_2_ETA,
        phi2=c["lepton_2_phi"] * LEPTON_2_PHI,
        met=c["missing_energy_magnitude"] * MET,
        met_phi=c["missing_energy_phi"] * MET_PHI + MET_PHI_OFFSET,
    )


def columns_from_event(event: Event, met_rel_share: Array) -> dict[str, Array]:
    """All 18 feature columns, (n,) float64 each, scaled as in the file, keyed by name.

    ``met_rel_share`` (n,) in [0, 1] is MET_rel as a share of what the leptons alone would make
    it; 1 where no jet is nearer to the missing momentum than they are.
    """
    e = event
    sin1, cos1 = sincos(e.phi1)
    sin2, cos2 = sincos(e.phi2)
    sin_met, cos_met = sincos(e.met_phi)
    x1, y1, x2, y2 = e.pt1 * cos1, e.pt1 * sin1, e.pt2 * cos2, e.pt2 * sin2
    met_x, met_y = e.met * cos_met, e.met * sin_met
    lepton_pt = np.sqrt((x1 + x2) ** 2 + (y1 + y2) ** 2)
    along_leptons = ((x1 + x2) * met_x + (y1 + y2) * met_y) / np.maximum(lepton_pt, 1e-300)
    aligned1 = cos1 * cos_met + sin1 * sin_met
    aligned2 = cos2 * cos_met + sin2 * sin_met
    m_tr_2 = np.sqrt(e.met * (e.pt1 * (1 - aligned1) + e.pt2 * (1 - aligned2)) / 2)
    razor = _super_razor(e, x1, y1, x2, y2, met_x, met_y)
    return {
        "lepton_1_pT": e.pt1 / LEPTON_1_PT,
        "lepton_1_eta": (e.eta1 - LEPTON_1_ETA_OFFSET) / LEPTON_1_ETA,
        "lepton_1_phi": (e.phi1 - LEPTON_1_PHI_OFFSET) / LEPTON_1_PHI,
        "lepton_2_pT": e.pt2 / LEPTON_2_PT,
        "lepton_2_eta": e.eta2 / LEPTON_2_ETA,
        "lepton_2_phi": e.phi2 / LEPTON_2_PHI,
        "missing_energy_magnitude": e.met / MET,
        "missing_energy_phi": (e.met_phi - MET_PHI_OFFSET) / MET_PHI,
        "MET_rel": _met_rel(e.met, np.maximum(aligned1, aligned2)) * met_rel_share * MET_REL / MET,
        "axial_MET": along_leptons * AXIAL_MET + AXIAL_MET_OFFSET,
        "M_R": razor["M_R"],
        "M_TR_2": m_tr_2 * M_TR_2,
        "R": m_tr_2 / razor["M_R"] * R,
        "MT2": stransverse_mass(x1, y1, x2, y2, met_x, met_y) * MT2,
        "S_R": razor["S_R"] * S_R,
        "M_Delta_R": razor["M_Delta_R"] * M_DELTA_R,
        "dPhi_r_b": razor["dPhi_r_b"] * DPHI_R_B,
        "cos(theta_r1)": razor["cos(theta_r1)"],
    }


def _met_rel(met: Array, aligned: Array) -> Array:
    """The missing momentum across the nearest lepton, if that is less than pi/2 away."""
    across = met * np.sqrt(np.maximum(1 - aligned * aligned, 0.0))
    return np.where(aligned > 0, across, met)


def _super_razor(
    e: Event, x1: Array, y1: Array, x2: Array, y2: Array, met_x: Array, met_y: Array
) -> dict[str, Array]:
    # Boost along the beam to where the leptons have no common longitudinal momentum.
    grow1, grow2 = exp(e.eta1), exp(e.eta2)
    plus = e.pt1 * grow1 + e.pt2 * grow2  # E + p_z of both leptons
    minus = e.pt1 / grow1 + e.pt2 / grow2
    stretch = np.sqrt(minus / plus)
    energy1 = e.pt1 * (grow1 * stretch + 1 / (grow1 * stretch)) / 2
    z1 = e.pt1 * (grow1 * stretch - 1 / (grow1 * stretch)) / 2
    m_r = np.sqrt(plus * minus)
    energy2 = m_r - energy1
    # Then across the beam, so that the leptons carry half of the mass S_R of the whole system.
    pair_x, pair_y = x1 + x2, y1 + y2
    system_x, system_y = pair_x + met_x, pair_y + met_y
    system_pt2 = system_x**2 + system_y**2
    system_pt = np.maximum(np.sqrt(system_pt2), 1e-300)
    mixed = pair_x * system_x + pair_y * system_y
    root = np.sqrt(np.maximum(m_r * m_r + system_pt2 - 2 * mixed, 0.0))
    s_r = np.sqrt(np.maximum(2 * (m_r * m_r - mixed + m_r * root), 1e-300))
    gamma = np.sqrt(system_pt2 + s_r * s_r) / s_r
    beta = system_pt / np.sqrt(system_pt2 + s_r * s_r)
    to_x, to_y = system_x / system_pt, system_y / system_pt
    along1, along2 = x1 * to_x + y1 * to_y, x2 * to_x + y2 * to_y
    boosted1, boosted2 = gamma * (energy1 - beta * along1), gamma * (energy2 - beta * along2)
    parallel1, parallel2 = gamma * (along1 - beta * energy1), gamma * (along2 - beta * energy2)
    across1, across2 = y1 * to_x - x1 * to_y, y2 * to_x - x2 * to_y
    # And apart, along their difference, to where both have the same energy.
    total = boosted1 + boosted2
    apart_parallel, apart_across, apart_z = parallel1 - parallel2, across1 - across2, 2 * z1
    apart = np.sqrt(apart_parallel**2 + apart_across**2 + apart_z**2)
    apart = np.maximum(apart, 1e-300)
    shadow = parallel1 * apart_parallel + across1 * apart_across + z1 * apart_z
    denominator = np.maximum(boosted1 - shadow / total, 1e-300)
    cosine = np.abs(shadow / apart - apart / total * boosted1) / denominator
    return {
        "M_R": m_r,
        "S_R": s_r,
        "M_Delta_R": s_r * np.sqrt(np.maximum(1 - (apart / total) ** 2, 0.0)),
        "dPhi_r_b": angle_between_0_and_pi(np.abs(across1 + across2), parallel1 + parallel2),
        "cos(theta_r1)": np.minimum(cosine, 1.0),
    }


def stransverse_mass(
    x1: Array, y1: Array, x2: Array, y2: Array, met_x: Array, met_y: Array
) -> Array:
    """MT2 of two massless leptons (x1, y1), (x2, y2) and two massless invisible particles.

    For a trial mass M, the invisible momenta that lepton i allows fill a parabola around its
    direction, and MT2 is the smallest M at which the first parabola touches the second, turned
    about and moved by the missing momentum. Seen from a line with unit normal n that parts the
    two (support functions), this is

        MT2^2 = max over n of  4 (-n.MET) (n.p1) (n.p2) / (n.p1 + n.p2),   n.p1, n.p2 > 0,

    and 0 if no such n has n.MET < 0, that is if the missing momentum lies between the leptons.
    With n.p1 = s and n.p2 = 1 - s up to a common factor it is F(s) below, on one interval.
    """
    det = x1 * y2 - x2 * y1
    det = np.where(det == 0, 1e-300, det)
    a, b = (met_x * y2 - met_y * x2) / det, (x1 * met_y - y1 * met_x) / det
    square1, square2, product = x1 * x1 + y1 * y1, x2 * x2 + y2 * y2, x1 * x2 + y1 * y2
    positive = (a < 0) | (b < 0)
    cut = np.where(a == b, 0.5, b / np.where(a == b, 1.0, b - a))
    low, high = np.where(b >= 0, cut, 0.0), np.where(a >= 0, cut, 1.0)
    low, high = np.where(positive, low, 0.0), np.where(positive, high, 1.0)
    # F = g / q with g = -(b + (a-b) s)(s - s^2), q = square1 - 2 (square1 + product) s + ... s^2
    slope, q1 = a - b, -2 * (square1 + product)
    q2 = square1 + square2 + 2 * product
    for _ in range(_MT2_HALVINGS):
        s = (low + high) / 2
        line, arch = b + slope * s, s - s * s
        g, q = -line * arch, square1 + (q1 + q2 * s) * s
        rising = (-slope * arch - line * (1 - 2 * s)) * q > g * (q1 + 2 * q2 * s)
        low, high = np.where(rising, s, low), np.where(rising, high, s)
    s = (low + high) / 2
    g, q = -(b + slope * s) * (s - s * s), square1 + (q1 + q2 * s) * s
    best = 4 * det * det * g / np.maximum(q, 1e-300)
    return np.where(positive, np.sqrt(np.maximum(best, 0.0)), 0.0)
