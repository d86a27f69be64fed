select
    tenant_id, span_id, parent_span_id, name, operation, tool_name, coalesce(response_model, request_model) as model,
    agent_name, service_name, kind, status_code, status_message, error_type, time_unix_nano, end_unix_nano, duration_ns,
    input_tokens, output_tokens, cost_microusd, shard, log_index, redactions
from spans
where trace_id = $trace_id
order by time_unix_nano, shard, log_index
