"""`python -m tfkafka`: the command, also where its script is not installed."""

import sys

from tfkafka.command.main import main

sys.exit(main())
