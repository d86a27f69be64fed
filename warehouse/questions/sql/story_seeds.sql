-- person: token $text
select 'spans' as source, shard, log_index, trace_id, time_unix_nano from spans
where (user_id = $text or list_contains(subjects, $text))
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select 'audit_events', shard, log_index, trace_id, time_unix_nano from audit_events
where (
    actor_id = $text or on_behalf_of = $text or subject_id = $text or resource_id = $text or list_contains(subjects, $text)
)
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select 'logs', shard, log_index, trace_id, time_unix_nano from logs
where list_contains(subjects, $text)
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index limit $most
-- next
-- conversation: its id in a column or attribute, or as what an event was about
select 'spans' as source, shard, log_index, trace_id, time_unix_nano from spans
where (conversation_id = $text or session_id = $text)
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select 'audit_events', shard, log_index, trace_id, time_unix_nano from audit_events
where (
    (resource_id = $text and resource_type in ('workflow', 'conversation', 'session', 'thread'))
    or (
        contains(attributes, $quoted)
        and $text in (attributes ->> '$."gen_ai.conversation.id"', attributes ->> '$."session.id"')
    )
)
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select 'logs', shard, log_index, trace_id, time_unix_nano from logs
where contains(attributes, $quoted) and $text in (attributes ->> '$."gen_ai.conversation.id"', attributes ->> '$."session.id"')
 
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index limit $most
-- next
-- approval
select 'audit_events' as source, shard, log_index, trace_id, time_unix_nano from audit_events
where (approval_id = $text or (resource_id = $text and resource_type = 'approval'))
 
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index limit $most
-- next
-- trace: every id that begins so lies from $text to $after
select 'spans' as source, shard, log_index, trace_id, time_unix_nano from spans
where trace_id >= $text and trace_id < $after
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select 'audit_events', shard, log_index, trace_id, time_unix_nano from audit_events
where trace_id >= $text and trace_id < $after
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select 'logs', shard, log_index, trace_id, time_unix_nano from logs
where trace_id >= $text and trace_id < $after
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index limit $most
-- next
-- record: of one shard, by its whole name or without what its identity adds, or of any
select 'spans' as source, shard, log_index, trace_id, time_unix_nano from spans
where log_index = $index and ($shard is null or shard = $shard or regexp_replace(shard, '-[0-9a-f]{8}$', '') = $shard)
union all
select 'audit_events', shard, log_index, trace_id, time_unix_nano from audit_events
where log_index = $index and ($shard is null or shard = $shard or regexp_replace(shard, '-[0-9a-f]{8}$', '') = $shard)
union all
select 'logs', shard, log_index, trace_id, time_unix_nano from logs
where log_index = $index and ($shard is null or shard = $shard or regexp_replace(shard, '-[0-9a-f]{8}$', '') = $shard)
order by time_unix_nano desc, shard, log_index limit $most
