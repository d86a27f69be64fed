-- Runs that the work in these runs went on in: linked, handed over, or reached by a message or task.
with touched as (
  select unnest($traces) as trace_id, unnest($entered) as entered, unnest($hops) as hop, unnest($vias) as via
),
linked as (
  select s.trace_id, min(s.time_unix_nano) as entered, 'link' as via
  from (
    select trace_id, time_unix_nano,
      unnest(from_json(links, '[{"trace_id": "VARCHAR"}]')).trace_id as from_trace
    from spans where links is not null and links <> '[]'
  ) s
  join touched t on s.from_trace = t.trace_id and s.time_unix_nano >= t.entered
  where s.trace_id <> t.trace_id
  group by s.trace_id
),
given as (
  select distinct e.resource_type, e.resource_id, min(e.time_unix_nano) as at
  from audit_events e
  join touched t on e.trace_id = t.trace_id and e.time_unix_nano >= t.entered
  where e.resource_id is not null and e.event_name in ('handoff.requested', 'message.sent')
  group by all
),
handed as (
  select e.trace_id, min(e.time_unix_nano) as entered,
    if(starts_with(e.event_name, 'handoff.'), 'handoff', 'message') as via
  from audit_events e
  join given g on e.resource_id = g.resource_id and e.resource_type = g.resource_type and e.time_unix_nano >= g.at
  where e.trace_id is not null
  group by all
),
tasks as (
  select trace_id, time_unix_nano, unnest([
    attributes ->> '$."a2a.task.id"', attributes ->> '$."a2a.message.id"', attributes ->> '$."mcp.session.id"'
  ]) as id
  from spans where contains(attributes, '"a2a.') or contains(attributes, '"mcp.session.id"')
),
reached as (
  select b.trace_id, min(b.time_unix_nano) as entered, 'task' as via
  from tasks a
  join touched t on a.trace_id = t.trace_id and a.time_unix_nano >= t.entered
  join tasks b on a.id = b.id and b.time_unix_nano >= a.time_unix_nano
  where a.id is not null
  group by b.trace_id
)
select trace_id, min(entered) as entered, arg_min(via, entered) as via
from (from linked union all from handed union all from reached)
where trace_id is not null and trace_id not in (select trace_id from touched)
group by trace_id
order by entered, trace_id
