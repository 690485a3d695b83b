"""The columns of SUSY.csv, in file order, and what is known about its first rows.

Source: P. Baldi, P. Sadowski, D. Whiteson, "Searching for Exotic Particles in High-energy
Physics with Deep Learning", Nature Communications 5 (2014); UCI Machine Learning Repository,
doi 10.24432/C54606. The names are the tutorial's; the file itself has no header line.
"""

LABEL = "class"
"""1.0 for a signal (supersymmetric) event, 0.0 for background."""

FEATURES: tuple[str, ...] = (
    # low level: measured by the detector
    "lepton_1_pT",
    "lepton_1_eta",
    "lepton_1_phi",
    "lepton_2_pT",
    "lepton_2_eta",
    "lepton_2_phi",
    "missing_energy_magnitude",
    "missing_energy_phi",
    # high level: functions of the eight above
    "MET_rel",
    "axial_MET",
    "M_R",
    "M_TR_2",
    "R",
    "MT2",
    "S_R",
    "M_Delta_R",
    "dPhi_r_b",
    "cos(theta_r1)",
)
"""The 18 inputs of the model, float64 in the file."""

COLUMNS: tuple[str, ...] = (LABEL, *FEATURES)
"""All 19 columns in file order: the label first."""

FIRST_100_000: tuple[int, int] = (54_025, 45_975)
"""Rows of class 0 and of class 1 among the first 100,000 of the real file, by the tutorial."""
