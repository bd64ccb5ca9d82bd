"""The warehouse of `scorecard_fixture` with what overviews read besides: tree, places, limits.

M01 stands above M02 to M05; odd managers work in Shanghai, even ones in Chengdu.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import scorecard_fixture as fixture

if TYPE_CHECKING:
    import duckdb

SUBTREE = ("M01", "M02", "M03", "M04", "M05")
_MORE = """
create table scorecards.scorecard_manager_tree as
    select month, manager_id, manager_id as ancestor_id, 0 as distance from core.dim_managers
    union all
    select month, manager_id, 'M01', 1 from core.dim_managers
    where manager_id in ('M02', 'M03', 'M04', 'M05');
create table kpis.kpi_reliabilities as
    select month, kpi_id, kpi_version, 'estimated' as method,
        avg(value) as reference_value, 0.2 as within_variance, 0.0005 as between_variance
    from scorecards.scorecard_kpi_months where kpi_id in ('csat_rate', 'reopen_rate')
    group by all;
alter table core.dim_employees add column location varchar;
insert into core.dim_employees
    select month, manager_id, display_name, month,
        case when cast(substr(manager_id, 2) as integer) % 2 = 1 then '上海' else '成都' end
    from core.dim_managers;
alter table scorecards.scorecard_manager_months add column change_status varchar;
update scorecards.scorecard_manager_months set change_status = case
    when change > 5 then 'better' when change < -5 then 'worse'
    when change is not null then 'no_clear_change' end;
alter table scorecards.scorecard_kpi_months add column funnel_status varchar;
alter table scorecards.scorecard_kpi_months add column is_provisional boolean;
alter table scorecards.scorecard_kpi_months add column effective_weight double;
update scorecards.scorecard_kpi_months set
    effective_weight = case when status = 'scored' then weight end,
    is_provisional = kpi_id = 'reopen_rate',
    funnel_status = case when status = 'scored' then case
        when score > 115 then 'better_998' when score < 50 then 'worse_95' else 'inside' end end;
update scorecards.scorecard_kpi_months set score = 0
    where manager_id = 'M02' and kpi_id = 'csat_rate';
"""


def make(managers: int = 8, names: dict[str, str] | None = None) -> duckdb.DuckDBPyConnection:
    """Make the warehouse; M02's satisfaction is worth nothing at all, which is not missing."""
    con = fixture.make(managers=managers, names=names)
    con.execute(_MORE)
    return con
