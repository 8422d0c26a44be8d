# SPDX-License-Identifier: MIT OR Apache-2.0
"""The parts of benches/run: scenarios, building, measuring, reporting."""
