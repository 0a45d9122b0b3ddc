# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of `python3 -m tools.hosts`."""

import sys

from tools.hosts.cli import main

sys.exit(main())
