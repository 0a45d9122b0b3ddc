# SPDX-License-Identifier: GPL-3.0-or-later
"""Disposable Debian hosts: systemd-nspawn machines that boot a real systemd and are reached over SSH.

A host is a directory tree built once per Debian suite (`image`), a throw-away overlay on top of it, a network
namespace on a private bridge (`network`) and a control group of its own (`cgroup`). `host` puts them together.
A stopped host's overlay can be kept as a `layer`, from which others boot.
Standard library only, so that it runs before anything of the project is installed.
"""
