"""Pages and notebooks get from here the study that ships, and the comparison of samplers."""
