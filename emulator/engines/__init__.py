"""What turns a system, a dispatcher and a workload into an episode; all engines agree to the last bit."""
