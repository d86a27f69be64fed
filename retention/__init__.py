"""Data out: how long records are kept, what holds them back, and what is due to go.

`retention.policy` says how a rule is found, `retention.durations` how time is counted, `retention.holds` what may not go,
`retention.plan` what is due.
"""
