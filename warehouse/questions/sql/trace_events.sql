select
    'audit_events' as source, tenant_id, span_id, time_unix_nano, event_name, severity_text, actor_id, action, outcome,
    reason, body, shard, log_index, redactions
from audit_events
where trace_id = $trace_id
union all
select
    'logs' as source, tenant_id, span_id, time_unix_nano, event_name, severity_text, null as actor_id, null as action,
    null as outcome, null as reason, body, shard, log_index, redactions
from logs
where trace_id = $trace_id
order by time_unix_nano, shard, log_index
