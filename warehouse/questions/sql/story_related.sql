-- Events outside of these runs that name them, or an approval, handoff, person, incident or record of theirs.
select
    'audit_events' as source, shard, log_index, trace_id, time_unix_nano, event_name as name,
    concat_ws(' ', action, resource_type, left(resource_id, $length)) as what,
    if(event_name in ('record.viewed', 'data.exported'), recorded_by, coalesce(actor_id, recorded_by)) as who,
    left(concat_ws(' ', reason, body), $length) as said, outcome, redactions, approval_id, resource_type, resource_id,
    null as agent_id
from audit_events
where (
    approval_id in (select unnest($approvals::varchar[]))
    or resource_id in (select unnest($names::varchar[]))
    or (
        event_name = 'data.exported' and action = 'prove'
        and concat(string_split(resource_id, '/')[-1], '/', attributes ->> '$."muniment.log.index"')
            in (select unnest($records::varchar[]))
    )
)
and (trace_id is null or trace_id not in (select unnest($traces::varchar[])))
and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index limit $most
