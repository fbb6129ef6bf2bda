"""What the paper claims, claim by claim, held against what was measured: each takes figures and returns a `Claim`.

Differences are in percent of what is compared with; `policies.paper.verdict` says when they count.
"""
