"""The schema is the tutorial's, and the error is one line."""

from reproduction.susy.errors import SusyDataError
from reproduction.susy.schema import COLUMNS, FEATURES, FIRST_100_000, LABEL


def test_nineteen_distinct_columns_with_the_label_first() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 19
    assert COLUMNS[0] == LABEL == "class"
    assert COLUMNS[1:] == FEATURES


def test_the_names_are_the_tutorials_in_file_order() -> None:
    names = (
        "class lepton_1_pT lepton_1_eta lepton_1_phi lepton_2_pT lepton_2_eta lepton_2_phi "
        "missing_energy_magnitude missing_energy_phi MET_rel axial_MET M_R M_TR_2 R MT2 S_R "
        "M_Delta_R dPhi_r_b cos(theta_r1)"
    )
    assert " ".join(COLUMNS) == names


def test_the_class_counts_add_up() -> None:
    assert FIRST_100_000 == (54_025, 45_975)
    assert sum(FIRST_100_000) == 100_000


def test_an_error_is_one_line_that_names_place_fault_and_remedy() -> None:
    error = SusyDataError("18 columns\nfound", "rows.csv, line 3", "give a file with 19")
    assert str(error) == "rows.csv, line 3: 18 columns found; give a file with 19"
