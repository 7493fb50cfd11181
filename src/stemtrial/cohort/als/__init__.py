"""People with ALS: who falls ill, how a trial finds them, how they live untreated."""
