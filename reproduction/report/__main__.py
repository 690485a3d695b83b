"""python -m reproduction.report [--artifacts FOLDER] [--reports FOLDER]

Writes the report from what the tutorial left in artifacts, and tests and benchmarks in reports.
"""

import argparse
import sys
from pathlib import Path

from reproduction.report.errors import ReportError
from reproduction.report.write import write_report

parser = argparse.ArgumentParser(prog="python -m reproduction.report", description=__doc__)
parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
parser.add_argument("--reports", type=Path, default=Path("reports"))
arguments = parser.parse_args()
try:
    print(write_report(arguments.artifacts, arguments.reports))
except ReportError as error:
    sys.exit(f"report: {error}")
