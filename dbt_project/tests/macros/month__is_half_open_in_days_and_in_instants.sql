{{ config(tags=['macro']) }}

select 1 as wrong
where not {{ in_month(month_start()) }}
    or {{ in_month(month_end()) }}
    or {{ month_start(1) }} <> {{ month_end() }}
    or {{ local_on(month_starts_at()) }} <> {{ month_start() }}
    or {{ local_on(month_ends_at()) }} <> {{ month_end() }}
    or {{ local_on(month_ends_at() ~ " - interval '1 second'") }} >= {{ month_end() }}
    or {{ as_of_at() }} < {{ month_ends_at() }}
    or not {{ near_month(month_starts_at() ~ " - interval '1 hour'") }}
    or {{ near_month(month_starts_at() ~ " - interval '2 day'") }}
    or '{{ month_day("2026-12", 1) }}' <> '2027-01-01'
    or '{{ month_day("2026-01", -1) }}' <> '2025-12-01'
    or '{{ month_key() }}' > '{{ as_of_key() }}'
