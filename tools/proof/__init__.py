# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves routes by requests: main and a worker of one running fleet have to give the same answer."""
