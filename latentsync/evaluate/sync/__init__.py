"""Agreement of lips and audio as LatentSync's own evaluation measures it."""
