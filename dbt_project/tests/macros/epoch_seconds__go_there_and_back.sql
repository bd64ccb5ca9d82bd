{{ config(tags=['macro']) }}

select 1 as wrong
where {{ epoch_s(instant(1788192000)) }} <> 1788192000
    or {{ instant_of('1788192000') }} <> {{ instant(1788192000) }}
    or {{ hour_number(instant(1788192000 + 3599)) }} <> {{ hour_number(instant(1788192000)) }}
    or {{ hour_number(instant(1788192000 + 3600)) }} <> {{ hour_number(instant(1788192000)) }} + 1
    or {{ days_between("date '2026-02-27'", "date '2026-03-01'") }} <> 2
