-- ticket: a whole value among attributes of a run or log, or a word of a log; what has no time is read with the newest
select 'spans' as source, shard, log_index, trace_id, time_unix_nano from spans
where contains(attributes, $quoted)
  and (time_unix_nano between $first and $last or ($newest and time_unix_nano is null))
union all
select 'logs', shard, log_index, trace_id, time_unix_nano from logs
where (
    contains(attributes, $quoted) or (contains(lower(body), $lower) and regexp_matches(lower(body), $word))
)
  and (time_unix_nano between $first and $last or ($newest and time_unix_nano is null))
order by time_unix_nano desc, shard, log_index limit $most
