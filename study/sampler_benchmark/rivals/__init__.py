"""The rivals are the samplers that Optuna lacks, behind its ask and tell."""
