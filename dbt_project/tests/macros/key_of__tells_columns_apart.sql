{{ config(tags=['macro']) }}

select 1 as wrong
where {{ key_of(["'a'", "'bc'"]) }} = {{ key_of(["'ab'", "'c'"]) }}
    or {{ key_of(["'a'", 'cast(null as varchar)']) }} <> {{ key_of(["'a'", "''"]) }}
