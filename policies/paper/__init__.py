"""The paper's figures made anew, its claims held against them, and why some of them do not hold."""
