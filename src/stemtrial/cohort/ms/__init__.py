"""People with MS: who falls ill, how a trial finds them, how they live untreated."""
