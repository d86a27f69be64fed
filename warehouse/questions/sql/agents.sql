select
    coalesce(agent_id, agent_name, service_name) as agent,
    any_value(agent_name) as name,
    list_sort(list(distinct agent_version) filter (agent_version is not null)) as versions,
    list_sort(list(distinct coalesce(response_model, request_model)) filter (coalesce(response_model, request_model) is not null)) as models,
    list_sort(list(distinct request_model) filter (request_model is not null)) as models_asked,
    list_sort(list(distinct provider) filter (provider is not null)) as providers,
    list_sort(list(distinct tool_name) filter (tool_name is not null)) as tools,
    list_sort(list(distinct data_class) filter (data_class is not null)) as data_classes,
    count(distinct trace_id) as runs,
    count(*) filter (status_code = 'ERROR') as errors,
    max(time) as last_seen
from spans
where time_unix_nano >= $first and coalesce(agent_id, agent_name, service_name) is not null
group by coalesce(agent_id, agent_name, service_name)
order by agent
