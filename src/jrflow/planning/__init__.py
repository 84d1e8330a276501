"""What a run is and needs, before anything runs."""
