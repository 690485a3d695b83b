"""Step 4: get the first rows of the SUSY data set and look at them.

The first column is the class (1 for the signal process, 0 for background), then come 18 features:
8 that a particle detector measures, and 10 that physicists derive from those. The file has 5
million rows in 0.9 GB; only what is asked for is read. Without a way to UCI, rows are generated
that are as hard to classify as the real ones, and that is said.
"""

import _common

arguments = _common.parse(__doc__, "--susy", "--rows", "--seed")

import pandas as pd

from reproduction.files import replacing
from reproduction.observe import note
from reproduction.susy.loader import load
from reproduction.susy.schema import COLUMNS

susy = load(arguments.susy, arguments.rows, arguments.seed)
if susy.notice:
    print(susy.notice)
print(f"SUSY: {len(susy.frame):,} rows from {susy.where}")

# Kept in UCI's format, and only whole: the next step reads it as the tutorial reads UCI's file.
path = arguments.artifacts / "SUSY.csv"
with replacing(path) as scratch:
    susy.frame.to_csv(scratch, header=False, index=False)

susy_iterator = pd.read_csv(path, header=None, names=list(COLUMNS), chunksize=100000)
susy_df = next(susy_iterator)
print(susy_df.head())

# Number of datapoints and columns
print((len(susy_df), len(susy_df.columns)))

# Number of datapoints belonging to each class (0: background noise, 1: signal)
background = len(susy_df[susy_df["class"] == 0])
signal = len(susy_df[susy_df["class"] == 1])
print((background, signal))

observed = {
    "run.rows": arguments.rows,
    "run.seed": arguments.seed,
    "run.susy": susy.where,
    "susy.shape": [len(susy_df), len(susy_df.columns)],
    "susy.classes": [background, signal],
}
note(arguments, observed)
_common.end(arguments, f"Wrote {_common.shown(path)}.", "05_write_to_kafka.py")
