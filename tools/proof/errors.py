# SPDX-License-Identifier: GPL-3.0-or-later
"""The one kind of error of this tool."""

from __future__ import annotations


class ProofError(RuntimeError):
    """The fault, its place and its fix, as one text for the user of the tool."""
