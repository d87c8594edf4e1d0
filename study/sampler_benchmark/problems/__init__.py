"""The problems of a comparison: drawn from a seed, recorded, or measured by others."""
