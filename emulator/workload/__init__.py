"""All that is drawn: arrival rates, jobs, work, coins; whatever the dispatcher and the engine."""
