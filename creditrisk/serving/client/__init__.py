"""Who asks a server of ours or of MLflow's for decisions."""
