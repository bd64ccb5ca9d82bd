{{ config(tags=['macro']) }}

-- What is computed, and what statsmodels' proportion_confint, scipy's chi2 and the table of Student's t say.
with cases as (
    select 'wilson, lower, 72 of 100' as what, {{ wilson('0.72', '100.0', -1) }} as found, 0.625120 as expected
    union all select 'wilson, upper, 72 of 100', {{ wilson('0.72', '100.0', 1) }}, 0.798603
    union all select 'wilson, lower, 0 of 10', {{ wilson('0.0', '10.0', -1) }}, 0.0
    union all select 'wilson, upper, 0 of 10', {{ wilson('0.0', '10.0', 1) }}, 0.277533
    union all select 'wilson, lower, 10 of 10', {{ wilson('1.0', '10.0', -1) }}, 0.722467
    union all select '72 of 100, lower', {{ proportion_limit('72.0', '100.0', -1) }}, 0.625120
    union all select '1 of 20, lower', {{ proportion_limit('1.0', '20.0', -1) }}, 0.005395
    union all select '1 of 20, upper', {{ proportion_limit('1.0', '20.0', 1) }}, 0.236131
    union all select '2 of 50, lower', {{ proportion_limit('2.0', '50.0', -1) }}, 0.011039
    union all select '19 of 20, upper', {{ proportion_limit('19.0', '20.0', 1) }}, 0.994605
    union all select '1 of 9, lower: too few cases to call it rare', {{ proportion_limit('1.0', '9.0', -1) }}, 0.019891
    union all select 't, 10 degrees', {{ t95('10.0') }}, 2.228139
    union all select 't, 29 degrees', {{ t95('29.0') }}, 2.045230
    union all select 't, 1000 degrees', {{ t95('1000.0') }}, 1.962339
    union all select 'root of noise below zero', {{ root('-0.0000001') }}, 0.0
),

words as (
    select 'better, up' as what, {{ change_status_of('0.1', '0.3', '1') }} as found, 'better' as expected
    union all select 'worse, down', {{ change_status_of('0.1', '0.3', '-1') }}, 'worse'
    union all select 'better, down', {{ change_status_of('-0.3', '-0.1', '-1') }}, 'better'
    union all select 'holds zero', {{ change_status_of('-0.1', '0.3', '1') }}, 'no_clear_change'
    union all select 'unknown', {{ change_status_of('cast(null as double)', '0.3', '1') }}, null
    union all select 'inside', {{ funnel_status_of('-1.9', '1') }}, 'inside'
    union all select 'outside 95', {{ funnel_status_of('-2.0', '1') }}, 'worse_95'
    union all select 'outside 99.8', {{ funnel_status_of('-3.1', '-1') }}, 'better_998'
)

select
    what,
    cast(found as varchar) as found,
    cast(expected as varchar) as expected
from cases
where abs({{ double('found') }} - expected) > 0.00001
union all
select
    what,
    found,
    expected
from words
where found is distinct from expected
