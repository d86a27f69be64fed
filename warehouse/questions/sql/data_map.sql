select
    coalesce(agent_id, agent_name, service_name) as agent,
    any_value(agent_name) as name,
    coalesce(data_class, 'not known') as data_class,
    provider,
    count(*) as spans,
    count(distinct trace_id) as runs,
    max(time) as last_seen,
    arg_max(shard, (time_unix_nano, shard, log_index)) as shard,
    arg_max(log_index, (time_unix_nano, shard, log_index)) as log_index
from spans
where time_unix_nano >= $first and provider is not null
group by coalesce(agent_id, agent_name, service_name), coalesce(data_class, 'not known'), provider
order by agent, data_class, provider
