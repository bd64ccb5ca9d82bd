{{ config(tags=['macro']) }}

select 1 as wrong
where {{ text_literal("it's") }} <> 'it' || chr(39) || 's' or {{ text_literal(none) }} is not null
