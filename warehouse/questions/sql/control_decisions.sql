select event_name, shard, log_index, time_unix_nano, recorded_by, reason,
  attributes ->> '$."muniment.control.id"' as control,
  attributes ->> '$."muniment.exception.table"' as record_table,
  attributes ->> '$."muniment.exception.shard"' as record_shard,
  try_cast(attributes ->> '$."muniment.exception.index"' as bigint) as record_index,
  attributes ->> '$."muniment.exception.disposition"' as disposition,
  attributes ->> '$."muniment.exception.ticket"' as ticket,
  attributes ->> '$."muniment.exception.due"' as due,
  try_cast(attributes ->> '$."muniment.control.from"' as bigint) as from_unix_nano,
  try_cast(attributes ->> '$."muniment.control.to"' as bigint) as to_unix_nano,
  attributes ->> '$."muniment.control.finding"' as finding,
  try_cast(attributes ->> '$."muniment.control.items"' as bigint) as items,
  try_cast(attributes ->> '$."muniment.control.exceptions"' as bigint) as exceptions
from audit_events
where event_name in ('exception.disposed', 'control.reviewed') and peer = 'local' and outcome = 'success'
  and recorded_by not like 'key:%' and attributes ->> '$."muniment.control.framework"' = $framework
order by time_unix_nano, shard, log_index
