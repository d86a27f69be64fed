with found as (
    select trace_id from spans where trace_id >= $low and trace_id < $high
    union
    select trace_id from audit_events where trace_id >= $low and trace_id < $high
    union
    select trace_id from logs where trace_id >= $low and trace_id < $high
)
select trace_id from found order by trace_id limit 6
