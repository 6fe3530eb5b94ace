# SPDX-License-Identifier: BSD-2-Clause
"""The data pattern.  Sector s of seed k is one 8-byte little-endian word 64 times: splitmix64 of (k << 32) + s."""
MASK = (1 << 64) - 1


def word(seed, sector):
    z = ((seed << 32) + sector + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def pattern(seed, start, count):
    return b"".join(word(seed, s).to_bytes(8, "little") * 64 for s in range(start, start + count))
