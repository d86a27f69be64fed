with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select t.trace_id, t.hop, t.via, t.entered as time_unix_nano, max(s.end_unix_nano) as end_unix_nano, count(s.trace_id) as spans,
  list_sort(list(distinct s.agent_id) filter (where s.agent_id is not null)) as agents
from touched t left join spans s on s.trace_id = t.trace_id and s.time_unix_nano >= t.entered
group by all
order by t.hop, t.entered, t.trace_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select s.agent_id, any_value(s.agent_name) as agent_name, min(t.hop) as hop, count(distinct s.trace_id) as runs, count(*) as spans,
  min(s.time_unix_nano) as first_unix_nano, max(s.time_unix_nano) as last_unix_nano
from spans s join touched t on s.trace_id = t.trace_id and s.time_unix_nano >= t.entered
where s.agent_id is not null
group by s.agent_id
order by hop, s.agent_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select s.tool_name, s.agent_id, min(t.hop) as hop, count(*) as calls, count(*) filter (where s.status_code = 'ERROR') as failed,
  min(s.time_unix_nano) as first_unix_nano, max(s.time_unix_nano) as last_unix_nano
from spans s join touched t on s.trace_id = t.trace_id and s.time_unix_nano >= t.entered
where s.tool_name is not null
group by s.tool_name, s.agent_id
order by hop, s.tool_name, s.agent_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select s.provider, coalesce(s.response_model, s.request_model) as model, min(t.hop) as hop, count(*) as calls,
  sum(s.input_tokens) as input_tokens, list_sort(list(distinct s.data_class) filter (where s.data_class is not null)) as data_classes
from spans s join touched t on s.trace_id = t.trace_id and s.time_unix_nano >= t.entered
where coalesce(s.response_model, s.request_model) is not null
group by all
order by hop, s.provider, model
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select e.resource_type, e.resource_id, min(t.hop) as hop, list_sort(list(distinct coalesce(e.action, e.event_name))) as actions,
  list_sort(list(distinct e.outcome) filter (where e.outcome is not null)) as outcomes, count(*) as events,
  min(e.time_unix_nano) as first_unix_nano, max(e.time_unix_nano) as last_unix_nano
from audit_events e join touched t on e.trace_id = t.trace_id and e.time_unix_nano >= t.entered
where e.resource_id is not null and not regexp_matches(e.event_name, '^(handoff|message|evaluation)\.')
group by e.resource_type, e.resource_id
order by hop, e.resource_type, e.resource_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
),
seen as (
  select 'spans' as source_table, trace_id, time_unix_nano, data_class, categories from spans
  union all select 'audit_events', trace_id, time_unix_nano, data_class, categories from audit_events
  union all select 'logs', trace_id, time_unix_nano, data_class, categories from logs
  union all select 'contents', trace_id, time_unix_nano, data_class, null from contents
)
select s.data_class, s.source_table, min(t.hop) as hop, count(*) as records,
  list_sort(list_distinct(flatten(list(from_json(s.categories, '["VARCHAR"]')) filter (where s.categories is not null)))) as categories
from seen s join touched t on s.trace_id = t.trace_id and s.time_unix_nano >= t.entered
group by s.data_class, s.source_table
order by s.data_class nulls last, s.source_table
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select e.approval_id, min(t.hop) as hop, list(e.event_name order by e.time_unix_nano) as events,
  any_value(coalesce(e.action, e.attributes ->> '$."gen_ai.tool.name"')) as action, any_value(e.resource_id) as resource_id,
  min(e.time_unix_nano) as first_unix_nano, max(e.time_unix_nano) as last_unix_nano
from audit_events e join touched t on e.trace_id = t.trace_id and e.time_unix_nano >= t.entered
where starts_with(e.event_name, 'approval.')
group by e.approval_id
order by first_unix_nano, e.approval_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select e.resource_id as handoff_id, min(t.hop) as hop, any_value(e.attributes ->> '$."audit.handoff.from"') as from_agent,
  any_value(e.attributes ->> '$."audit.handoff.to"') as to_agent, list(e.event_name order by e.time_unix_nano) as events,
  min(e.time_unix_nano) as first_unix_nano, max(e.time_unix_nano) as last_unix_nano
from audit_events e join touched t on e.trace_id = t.trace_id and e.time_unix_nano >= t.entered
where starts_with(e.event_name, 'handoff.')
group by e.resource_id
order by first_unix_nano, handoff_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
)
select e.resource_id as message_id, min(t.hop) as hop, any_value(e.actor_id) as sent_by,
  any_value(e.attributes ->> '$."audit.message.channel"') as channel, min(e.time_unix_nano) as time_unix_nano
from audit_events e join touched t on e.trace_id = t.trace_id and e.time_unix_nano >= t.entered
where e.event_name = 'message.sent'
group by e.resource_id
order by time_unix_nano, message_id
-- next
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
),
sent as (
  select recorded_by, peer, null as credential_id, null as source_address, s.time_unix_nano, agent_id
  from spans s join touched t on s.trace_id = t.trace_id and s.time_unix_nano >= t.entered
  where agent_id = nullif($agent, '') or recorded_by = 'key:' || nullif($key, '')
  union all
  select recorded_by, peer, attributes ->> '$."audit.credential.id"', attributes ->> '$."source.address"', e.time_unix_nano, actor_id
  from audit_events e join touched t on e.trace_id = t.trace_id and e.time_unix_nano >= t.entered
  where actor_id = nullif($agent, '') or recorded_by = 'key:' || nullif($key, '')
    or attributes ->> '$."audit.credential.id"' = nullif($key, '')
)
select recorded_by, peer, credential_id, source_address, count(*) as records,
  min(time_unix_nano) as first_unix_nano, max(time_unix_nano) as last_unix_nano
from sent
group by recorded_by, peer, credential_id, source_address
order by first_unix_nano, recorded_by, credential_id, source_address
