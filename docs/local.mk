# SPDX-License-Identifier: BSD-2-Clause
EXTRA_DIST += docs/architecture.md docs/robustness.md docs/dependencies.md docs/simulator.md
EXTRA_DIST += docs/multipath.md docs/rbd.md
EXTRA_DIST += docs/page.png
EXTRA_DIST += docs/metrics.md
