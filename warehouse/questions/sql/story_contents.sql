-- What was said in these runs: the parts of records, each with how much of it there is.
select
    owner_table as source, shard, owner_index as log_index, trace_id, time_unix_nano, part, media_type,
    left(body, $length) as said, length(body) as characters
from contents
where trace_id in (select unnest($traces::varchar[]))
  and (time_unix_nano is null or time_unix_nano between $first and $last)
order by time_unix_nano desc, shard, owner_index, part limit $most
