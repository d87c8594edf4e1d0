"""The problems of a comparison are drawn from a seed, recorded, or measured by others."""
