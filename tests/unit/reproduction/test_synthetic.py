"""Synthetic SUSY rows: counts, determinism, float32 values, physics, difficulty."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reproduction.susy import holdout, kinematics, portable_math
from reproduction.susy.schema import COLUMNS, FEATURES, LABEL
from reproduction.susy.synthetic import BLOCK_ROWS, generate, iter_chunks, signal_rows
from reproduction.susy.synthetic_model import PARAMETERS, load_parameters
from tests.documents import ROOT, examples

# Of generate(1000) as little-endian float32. Changes with the parameters, and with nothing else.
SHA256_OF_1000_ROWS = "fb305ee8177f6a3ba2b6c981fd3e7a540f40256ae56a4a86d9479fc1d4497367"
HASH_PROGRAM = """
import hashlib
from reproduction.susy.synthetic import generate
print(hashlib.sha256(generate(1000).to_numpy().astype("<f4").tobytes()).hexdigest())
"""


@pytest.fixture(scope="module")
def rows():
    return generate(45_000, seed=3)


def test_the_example_of_the_documentation_of_synthetic_rows():
    [example] = examples(ROOT / "docs" / "synthetic-data.md")
    scope: dict = {}
    # The 5,000,000 rows of the file would take half a minute.
    exec(compile(example.replace("5_000_000", "150_000"), "example", "exec"), scope)
    assert len(scope["frame"]) == 100_000
    assert len(scope["chunk"]) == 50_000


@pytest.mark.parametrize("seed", [0, 2**40])
def test_class_counts_of_100_000_rows_are_the_real_files(seed):
    counts = generate(100_000, seed)[LABEL].value_counts()
    assert counts.to_dict() == {0.0: 54_025, 1.0: 45_975}


@pytest.mark.parametrize("count", [1, 2, 7, 999, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_other_sizes_have_the_same_shares_to_rounding(count):
    frame = generate(count)
    assert len(frame) == count
    assert abs(frame[LABEL].sum() - 0.45975 * count) <= 0.5


def test_signal_rows_rounds_exactly_where_floats_would_not():
    assert signal_rows(100_000) == 45_975
    assert signal_rows(10**15) == 459_750_000_000_000


def test_columns_and_values_are_those_of_the_file(rows):
    assert tuple(rows.columns) == COLUMNS
    assert (rows.dtypes == "float64").all()
    values = rows.to_numpy()
    assert np.isfinite(values).all()
    assert (values == values.astype(np.float32)).all()
    assert set(rows[LABEL]) == {0.0, 1.0}


def test_same_seed_same_rows_other_seed_other_rows():
    assert generate(500, seed=5).equals(generate(500, seed=5))
    assert not (generate(500, seed=5)["M_R"] == generate(500, seed=6)["M_R"]).any()


def test_blocks_do_not_repeat_each_other():
    frame = generate(2 * BLOCK_ROWS)
    assert not frame[list(FEATURES)].duplicated().any()


def test_rows_are_the_known_ones():
    digest = hashlib.sha256(generate(1000).to_numpy().astype("<f4").tobytes()).hexdigest()
    assert digest == SHA256_OF_1000_ROWS


def test_rows_do_not_depend_on_the_processor():
    older = {
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3",
        "OPENBLAS_CORETYPE": "Prescott",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HASH_PROGRAM],
        env=os.environ | older,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == SHA256_OF_1000_ROWS


@pytest.mark.parametrize("chunk_rows", [1_000, 20_000, 33_333, 45_000, 1_000_000])
def test_chunks_are_the_same_rows_cut_otherwise(rows, chunk_rows):
    chunks = list(iter_chunks(45_000, seed=3, chunk_rows=chunk_rows))
    assert [len(c) for c in chunks[:-1]] == [chunk_rows] * (len(chunks) - 1)
    assert 1 <= len(chunks[-1]) <= chunk_rows
    assert (np.concatenate(chunks) == rows.to_numpy()).all()


def test_fewer_rows_are_the_beginning_of_more(rows):
    fewer = generate(BLOCK_ROWS + 5, seed=3)
    assert fewer[list(FEATURES)].equals(rows[list(FEATURES)].head(len(fewer)))
    assert fewer.head(BLOCK_ROWS).equals(rows.head(BLOCK_ROWS))


@pytest.mark.parametrize("bad", [(0, 0, 10), (10, -1, 10), (10, 0, 0)])
def test_impossible_requests_are_refused_at_once(bad):
    with pytest.raises(ValueError, match="at least"):
        iter_chunks(*bad)


def test_classes_are_in_random_order(rows):
    label = rows[LABEL].to_numpy()
    # 45,000 rows: a standard error of 0.0047 around no correlation between neighbours.
    assert abs(np.corrcoef(label[1:], label[:-1])[0, 1]) < 0.02


def test_physics_holds(rows):
    event = kinematics.event_from_columns({name: rows[name].to_numpy() for name in FEATURES})
    for angle in (event.phi1, event.phi2, event.met_phi):
        assert np.abs(angle).max() < np.pi + 1e-6
        assert abs(np.mean(angle)) < 0.05
    for eta in (event.eta1, event.eta2):
        assert np.abs(eta).max() < 2.5 + 1e-6
    assert (event.pt1 > event.pt2 - 1e-6).all()
    assert event.pt2.min() >= 0.1330
    for name in set(FEATURES[6:]) - {"missing_energy_phi", "axial_MET"}:
        assert (rows[name] >= 0).all(), name
    assert (rows["cos(theta_r1)"] <= 1).all()
    assert event.met.max() < 40
    longest = kinematics.MET_REL * rows["missing_energy_magnitude"] * (1 + 1e-6)
    assert (rows["MET_rel"] <= longest).all()
    assert 0.19 < np.mean(rows["MT2"] == 0) < 0.24  # 0.21 of the real rows


def test_derived_columns_follow_from_the_low_level_ones(rows):
    few = {name: rows[name].to_numpy()[:5_000] for name in FEATURES}
    event = kinematics.event_from_columns(few)
    # Independently of kinematics: invariant mass without the leptons' transverse opening angle.
    mass = np.sqrt(
        event.pt1**2 + event.pt2**2 + 2 * event.pt1 * event.pt2 * np.cosh(event.eta1 - event.eta2)
    )
    np.testing.assert_allclose(few["M_R"], mass, rtol=1e-5)
    ratio = few["M_TR_2"] / few["M_R"] / few["R"]
    np.testing.assert_allclose(ratio, kinematics.M_TR_2 / kinematics.R, rtol=1e-5)


def test_stransverse_mass_is_the_minimum_it_is_defined_as():
    rng = np.random.default_rng(1)
    x1, y1, x2, y2, met_x, met_y = rng.normal(size=(6, 12))
    found = kinematics.stransverse_mass(x1, y1, x2, y2, met_x, met_y)

    def transverse_mass_squared(px, py, qx, qy):
        return 2 * (np.hypot(px, py) * np.hypot(qx, qy) - px * qx - py * qy)

    for i in range(12):

        def larger(q, i=i):
            rest_x, rest_y = met_x[i] - q[0], met_y[i] - q[1]
            return max(
                transverse_mass_squared(x1[i], y1[i], q[0], q[1]),
                transverse_mass_squared(x2[i], y2[i], rest_x, rest_y),
            )

        starts = [(0, 0), (met_x[i] / 2, met_y[i] / 2), (met_x[i], met_y[i])]
        options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000}
        best = min(minimize(larger, s, method="Nelder-Mead", options=options).fun for s in starts)
        assert found[i] == pytest.approx(np.sqrt(max(best, 0)), abs=2e-5)
    assert (found > 0.1).any() and (found == 0).any()


def test_rows_are_as_hard_as_real_ones(rows):
    # A linear model reaches an AUC of 0.854 on real rows (6,000, cross-validated).
    train, test = rows.head(25_000), rows.tail(20_000)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(
        train[list(FEATURES)], train[LABEL]
    )
    auc = roc_auc_score(test[LABEL], model.predict_proba(test[list(FEATURES)])[:, 1])
    assert 0.845 < auc < 0.865


def test_portable_functions_agree_with_numpys():
    x = np.linspace(-30, 30, 20_001)
    sine, cosine = portable_math.sincos(x)
    np.testing.assert_allclose(sine, np.sin(x), atol=1e-12)
    np.testing.assert_allclose(cosine, np.cos(x), atol=1e-12)
    np.testing.assert_allclose(portable_math.exp(x), np.exp(x), rtol=1e-12)
    positive = np.exp(np.linspace(-37, 50, 20_001))
    np.testing.assert_allclose(portable_math.log(positive), np.log(positive), atol=1e-12)
    np.testing.assert_allclose(
        portable_math.angle_between_0_and_pi(np.abs(sine), cosine),
        np.arctan2(np.abs(sine), cosine),
        atol=1e-12,
    )


def test_normals_are_normal_to_the_ends_of_their_uniforms():
    uniform = np.random.default_rng(0).random((2, 100_000))
    values = portable_math.normals(uniform).ravel()
    assert abs(values.mean()) < 0.01
    assert abs(values.std() - 1) < 0.01
    edges = np.array([[0.0, 1 - 2.0**-53], [0.0, 1 - 2.0**-53]])
    assert np.isfinite(portable_math.normals(edges)).all()
    assert np.isfinite(portable_math.logistic(edges)).all()


def test_parameters_are_small_and_need_no_pickle():
    assert PARAMETERS.stat().st_size <= 200_000
    parameters = load_parameters()
    assert parameters.weights[-1] == 1.0
    for weights in (parameters.label_first, parameters.label_second, parameters.label_out):
        assert (weights == portable_math.dyadic(weights)).all()


def test_held_out_rows_are_the_same_in_any_order_and_company(rows):
    limits = holdout.thresholds(rows, 20_000)
    apart = holdout.held_out(rows, limits)
    assert apart.sum() == 20_000
    assert abs(rows[LABEL][apart].mean() - rows[LABEL].mean()) < 1e-4
    part = rows.iloc[::-3]
    assert (holdout.held_out(part, limits) == apart[::-3]).all()
