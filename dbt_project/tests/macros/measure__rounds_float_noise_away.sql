{{ config(tags=['macro']) }}

select 1 as wrong
where {{ measure(double('0.1') ~ ' + ' ~ double('0.2')) }} <> {{ measure('0.3') }}
    or {{ measure('0.0000005') }} <> {{ measure('0.000001') }}
    or {{ measure('cast(null as numeric(18, 6))') }} is not null
