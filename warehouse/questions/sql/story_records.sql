-- What happened in these runs. The same is asked of single records, with the line that names the runs replaced.
select
    'spans' as source, shard, log_index, trace_id, time_unix_nano, operation as name,
    if(
        contains(name, coalesce(tool_name, response_model, request_model)),
        name,
        concat_ws(' ', name, coalesce(tool_name, response_model, request_model))
    ) as what,
    coalesce(agent_id, agent_name, service_name) as who, left(coalesce(error_type, status_message), $length) as said,
    status_code as outcome, redactions, null as approval_id, null as resource_type, null as resource_id, agent_id
from spans
where trace_id in (select unnest($traces::varchar[]))
 
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select
    'audit_events', shard, log_index, trace_id, time_unix_nano, event_name,
    concat_ws(' ', action, resource_type, left(resource_id, $length)),
    if(event_name in ('record.viewed', 'data.exported'), recorded_by, coalesce(actor_id, recorded_by)),
    left(concat_ws(' ', reason, body), $length), outcome, redactions, approval_id, resource_type, resource_id, null
from audit_events
where trace_id in (select unnest($traces::varchar[]))
 
  and (time_unix_nano is null or time_unix_nano between $first and $last)
union all
select
    'logs', shard, log_index, trace_id, time_unix_nano, coalesce(event_name, severity_text), event_name, service_name,
    left(body, $length), severity_text, redactions, null, null, null, null
from logs
where trace_id in (select unnest($traces::varchar[]))
 
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, log_index desc limit $most
