# SPDX-License-Identifier: GPL-3.0-or-later
"""The one kind of error of these tools."""

from __future__ import annotations


class RoutesError(ValueError):
    """What is wrong, where, and how to fix it; one text for the one who called the tool."""
