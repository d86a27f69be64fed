-- ticket: what an event was about, a whole value among attributes, or a word of what was said; that somebody looked finds nothing new
select
    'audit_events' as source, shard, log_index, trace_id, time_unix_nano,
    event_name in ('record.viewed', 'data.exported') as is_access
from audit_events
where (
    resource_id = $text or contains(attributes, $quoted)
    or (
        contains(lower(concat_ws(' ', action, reason, body)), $lower)
        and regexp_matches(lower(concat_ws(' ', action, reason, body)), $word)
    )
)
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index limit $most
