select
  concat_ws(' ', recorded_by, service_name) as subject,
  max(received_unix_nano) as last
from (
  select recorded_by, service_name, received_unix_nano from spans where day >= $from
  union all
  select recorded_by, service_name, received_unix_nano from logs where day >= $from
  union all
  select recorded_by, service_name, received_unix_nano from audit_events where day >= $from
)
where starts_with(recorded_by, 'key:')
group by all
order by all;

with numbered as (
  select
    concat_ws(' ', recorded_by, service_name, attributes ->> '$."audit.sequence.stream"') as subject,
    -- wider than what senders may say, so that what is worked out of it always fits
    try_cast(attributes ->> '$."audit.sequence.number"' as bigint)::hugeint as number,
    time_unix_nano
  from audit_events
  where day >= $from and contains(attributes, '"audit.sequence.number"')
)
select
  subject,
  max(number) - min(number) + 1 as expected,
  max(number) - min(number) + 1 - count(distinct number) as missing,
  max(time_unix_nano) as last
from numbered
where number is not null
group by subject
having missing > 0
order by subject;

select shard, max(log_index) + 1 as size
from (
  select shard, log_index from spans
  union all
  select shard, log_index from logs
  union all
  select shard, log_index from audit_events
)
group by shard
order by shard;
