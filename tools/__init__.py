# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for developing and testing the collection; none of this is shipped with it."""
