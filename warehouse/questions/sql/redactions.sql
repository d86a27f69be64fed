with records as (
    select 'spans' as source, tenant_id, service_name, redactions, attributes, resource, events as parts, status_message as text,
        shard, log_index
    from spans where redactions is not null
    union all by name
    select 'audit_events' as source, tenant_id, service_name, redactions, attributes, resource, null as parts,
        concat_ws(' ', body, reason, resource_id) as text, shard, log_index
    from audit_events where redactions is not null
    union all by name
    select 'logs' as source, tenant_id, service_name, redactions, attributes, resource, null as parts, body as text,
        shard, log_index
    from logs where redactions is not null
),
members as (
    select source, tenant_id, service_name, member.key as field, cast(member.value as varchar) as text
    from records, json_each(records.attributes) as member
    union all
    select source, tenant_id, service_name, 'resource.' || member.key, cast(member.value as varchar)
    from records, json_each(records.resource) as member
    union all
    select source, tenant_id, service_name, 'events', parts from records
    union all
    select source, tenant_id, service_name, 'text', text from records
    union all
    select 'contents', contents.tenant_id, records.service_name, contents.part, contents.body
    from contents
    join records
        on contents.tenant_id = records.tenant_id and contents.shard = records.shard
        and contents.owner_table = records.source and contents.owner_index = records.log_index
),
marks as (
    select source, tenant_id, service_name, field,
        unnest(regexp_extract_all(text, '\[[A-Z][A-Z_]*\]|sub_[a-z2-7]{26}')) as mark
    from members
)
select source, tenant_id, coalesce(service_name, '') as service_name, field,
    case when starts_with(mark, 'sub_') then 'token' else lower(trim(mark, '[]')) end as detector,
    count(*) as count
from marks
group by all
order by count desc, source, tenant_id, service_name, field, detector
