-- The runs in which an agent ($agent) or a key or credential ($key) did something itself, and since when.
with own as (
  select trace_id, time_unix_nano from spans
  where time_unix_nano >= $since and (agent_id = nullif($agent, '') or recorded_by = 'key:' || nullif($key, ''))
  union all
  select trace_id, time_unix_nano from audit_events
  where time_unix_nano >= $since and (
    actor_id = nullif($agent, '') or on_behalf_of = nullif($agent, '')
    or attributes ->> '$."gen_ai.agent.id"' = nullif($agent, '')
    or recorded_by = 'key:' || nullif($key, '')
    or attributes ->> '$."audit.credential.id"' = nullif($key, '')
  )
  union all
  select trace_id, time_unix_nano from logs
  where time_unix_nano >= $since and recorded_by = 'key:' || nullif($key, '')
)
select trace_id, min(time_unix_nano) as entered, 'itself' as via
from own
where trace_id is not null
group by trace_id
order by entered, trace_id
