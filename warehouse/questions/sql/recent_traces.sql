select
    time, trace_id, name, coalesce(agent_name, agent_id) as agent, service_name, status_code,
    duration_ns / 1e6 as duration_ms, input_tokens, output_tokens, cost_microusd, shard, log_index
from spans
where parent_span_id is null
order by time_unix_nano desc, log_index desc
limit $most
