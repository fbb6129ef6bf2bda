"""The engine for size: jobs drawn, routed and served by compiled loops, window by window."""
