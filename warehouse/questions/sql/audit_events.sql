select
    time, event_name, outcome, actor_id, actor_type, on_behalf_of, action, resource_type, resource_id, reason, subject_id,
    policy_id, approval_id, assurance, trace_id, recorded_by, peer, service_name, data_class, shard, log_index
from audit_events
where ($first::bigint is null or time_unix_nano >= $first)
  and ($last::bigint is null or time_unix_nano < $last)
  and ($names::varchar[] is null or list_contains($names::varchar[], event_name))
  and ($outcomes::varchar[] is null or list_contains($outcomes::varchar[], outcome))
  and ($who::varchar is null or $who in (actor_id, on_behalf_of, subject_id))
  and (
      $text::varchar is null
      or contains(lower(concat_ws(
          ' ', event_name, actor_id, on_behalf_of, action, resource_type, resource_id, reason, approval_id, subject_id
      )), $text)
      or contains(lower(attributes), $text)
  )
order by time_unix_nano desc, shard, log_index desc
limit $most
