-- What the spans of $days show. An event of a day is read off the spans of that day and of the seven days before it alone.
with base as (
  select day, time_unix_nano, end_unix_nano, received_unix_nano, shard, log_index, trace_id, span_id, parent_span_id, links,
         operation, agent_id, conversation_id, request_model, prompt_name, prompt_version, tool_name, error_type
  from all_spans
  where day between $first and $last and agent_id is not null
),
-- Something is new to an agent when it used something else in the seven days before, and not this.
uses as (
  select 'model_changed' as kind, '' as series, request_model as value, agent_id, day, time_unix_nano, received_unix_nano, shard,
         log_index, trace_id, span_id
  from base where request_model is not null and operation in ('chat', 'generate_content', 'text_completion')
  union all
  select 'prompt_changed', prompt_name, prompt_version, agent_id, day, time_unix_nano, received_unix_nano, shard, log_index, trace_id,
         span_id
  from base where prompt_name is not null and prompt_version is not null
  union all
  select 'tool_set_changed', '', tool_name, agent_id, day, time_unix_nano, received_unix_nano, shard, log_index, trace_id, span_id
  from base where tool_name is not null and operation = 'execute_tool'
),
-- Of the days before the first of $days the last use of each thing decides: one row for thousands.
last_uses as (
  select kind, agent_id, series, value, max(time_unix_nano) as time_unix_nano from uses where day < $days[1] group by all
),
deciding as (
  select * from uses where day >= $days[1]
  union all
  select u.* from uses u semi join last_uses using (kind, agent_id, series, value, time_unix_nano) where u.day < $days[1]
),
ordered as (
  select *, lag(time_unix_nano) over same as last_same, lag(value) over everything as before_value,
         lag(time_unix_nano) over everything as before_time, lag(received_unix_nano) over everything as before_received,
         lag(trace_id) over everything as before_trace_id, lag(shard) over everything as before_shard,
         lag(log_index) over everything as before_index
  from deciding
  window same as (partition by kind, agent_id, series, value order by time_unix_nano, shard, log_index),
         everything as (partition by kind, agent_id, series order by time_unix_nano, shard, log_index)
),
changed as (
  select * from ordered
  where day in (select unnest($days))
    and before_time >= time_unix_nano - $memory
    and (last_same is null or last_same < time_unix_nano - $memory)
),
changes as (
  select time_unix_nano, greatest(received_unix_nano, before_received) as received_unix_nano, kind, agent_id,
         null::varchar as to_agent_id, nullif(series, '') as series, before_value, value as after_value, null::bigint as waited_ns,
         trace_id, span_id, shard, log_index, before_trace_id, before_shard, before_index, day
  from changed c
  -- which tools an agent has shows over its first day
  where kind <> 'tool_set_changed' or exists (
    select 1 from uses u
    where u.kind = c.kind and u.agent_id = c.agent_id
      and u.time_unix_nano between c.time_unix_nano - $memory and c.time_unix_nano - 86400000000000
  )
),
-- A span of one agent under, or linked to, one of another is work handed over.
below as (
  select c.*, c.trace_id as wanted_trace, c.parent_span_id as wanted_span
  from base c where c.parent_span_id is not null and c.day in (select unnest($days))
),
linking as (
  select *, link.trace_id as wanted_trace, link.span_id as wanted_span
  from (select c.*, unnest(from_json(c.links, '[{"trace_id":"VARCHAR","span_id":"VARCHAR"}]')) as link
        from base c where c.links is not null and c.links <> '[]' and c.day in (select unnest($days)))
),
related as (
  select c.day, c.time_unix_nano, greatest(c.received_unix_nano, p.received_unix_nano) as received_unix_nano, c.shard, c.log_index,
         c.trace_id, c.span_id, c.agent_id, c.conversation_id, p.agent_id as p_agent, p.conversation_id as p_conversation,
         p.trace_id as p_trace, p.shard as p_shard, p.log_index as p_index,
         greatest(c.time_unix_nano - coalesce(p.end_unix_nano, p.time_unix_nano), 0) as waited_ns
  from (select * exclude (link) from linking union all select * from below) c
  join base p on p.trace_id = c.wanted_trace and p.span_id = c.wanted_span
   and p.time_unix_nano <= c.time_unix_nano and p.time_unix_nano >= c.time_unix_nano - $memory
  -- a span that was sent twice is related once
  qualify row_number() over (partition by c.shard, c.log_index, p.trace_id, p.span_id order by p.shard, p.log_index) = 1
),
handoffs as (
  select time_unix_nano, received_unix_nano, 'handoff' as kind, p_agent as agent_id, agent_id as to_agent_id,
         null::varchar as series, null::varchar as before_value, null::varchar as after_value, waited_ns, trace_id, span_id,
         shard, log_index, p_trace as before_trace_id, p_shard as before_shard, p_index as before_index, day
  from related where p_agent <> agent_id
),
-- A run that goes on with a conversation which an earlier one left waiting, and then calls a tool: what it waited for was let through.
resumed as (
  select trace_id, agent_id, time_unix_nano as began, p_trace, p_shard, p_index, received_unix_nano, waited_ns
  from related where p_agent = agent_id and p_trace <> trace_id and p_conversation = conversation_id
),
by_link as (
  select e.*, r.p_trace, r.p_shard, r.p_index, greatest(e.received_unix_nano, r.received_unix_nano) as received, r.waited_ns
  from resumed r
  join base e on e.trace_id = r.trace_id and e.agent_id = r.agent_id and e.operation = 'execute_tool'
   and e.time_unix_nano >= r.began and e.day in (select unnest($days))
  qualify row_number() over (partition by r.trace_id, r.agent_id, r.began order by e.time_unix_nano, e.shard, e.log_index) = 1
),
interrupted as (
  select * from base
  where conversation_id is not null and error_type in ('GraphInterrupt', 'NodeInterrupt', 'Interrupt', 'ToolApprovalRequired')
),
by_interrupt as (
  select e.*, i.trace_id as p_trace, i.shard as p_shard, i.log_index as p_index,
         greatest(e.received_unix_nano, i.received_unix_nano) as received,
         greatest(e.time_unix_nano - coalesce(i.end_unix_nano, i.time_unix_nano), 0) as waited_ns
  from interrupted i
  join base e on e.agent_id = i.agent_id and e.conversation_id = i.conversation_id and e.trace_id <> i.trace_id
   and e.operation = 'execute_tool' and e.error_type is null
   and e.time_unix_nano > i.time_unix_nano and e.time_unix_nano <= i.time_unix_nano + $memory
  qualify row_number() over (partition by i.shard, i.log_index order by e.time_unix_nano, e.shard, e.log_index) = 1
),
approvals as (
  select time_unix_nano, received as received_unix_nano, 'tool_approval' as kind, agent_id, null::varchar as to_agent_id,
         null::varchar as series, null::varchar as before_value, tool_name as after_value, waited_ns, trace_id, span_id, shard,
         log_index, p_trace as before_trace_id, p_shard as before_shard, p_index as before_index, day
  from (select * from by_link union all select * from by_interrupt where day in (select unnest($days)))
  -- an interrupt that the resuming run links to is one approval
  qualify row_number() over (partition by shard, log_index order by waited_ns, p_shard, p_index) = 1
)
select $tenant as tenant_id, day, time_unix_nano, received_unix_nano, kind, agent_id, to_agent_id, series, before_value,
       after_value, waited_ns, trace_id, span_id, 'spans' as source_table, shard, log_index, before_trace_id, before_shard,
       before_index
from (select * from changes union all select * from handoffs union all select * from approvals)
order by time_unix_nano, kind, shard, log_index, before_shard, before_index
