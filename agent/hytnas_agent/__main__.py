"""``python -m hytnas_agent`` is ``hytnas-agent``."""

import sys

from hytnas_agent.cli import main

sys.exit(main())
