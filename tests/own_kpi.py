"""One more KPI, as a company would add it: the file that docs/own-kpi.md shows."""

TOP_SCORE_RATE = """\
version: 2
semantic_models:
  - name: top_score_rate
    description: Answers.
    model: ref('fct_survey_responses')
    defaults: { agg_time_dimension: submitted_on }
    entities:
      - { name: top_score_rate_row, type: primary, expr: response_key }
    dimensions:
      - { name: submitted_on, type: time, type_params: { time_granularity: day } }
    measures:
      - name: top_score_rate_numerator
        agg: sum
        expr: case when is_csat_rated and score = scale_max then 1 else 0 end
      - name: top_score_rate_denominator
        agg: sum
        expr: case when is_csat_rated then 1 else 0 end
metrics:
  - name: top_score_rate
    label: Top scores
    type: ratio
    type_params: { numerator: top_score_rate_numerator, denominator: top_score_rate_denominator }
    config:
      meta:
        kpi:
          name_en: Top scores
          name_zh: 满分率
          definition_en: Answers with the top score over rated answers.
          definition_zh: 满分评价数 ÷ 有效评价数。
          category: quality
          unit: rate
          direction: up
          kind: proportion
          version: 1
          minimum_sample: 1
          credit: { to: employee, id: credited_employee_id, day: submitted_on }
          row_id: response_id
  - name: top_score_rate_numerator
    label: above
    type: simple
    type_params: { measure: top_score_rate_numerator }
  - name: top_score_rate_denominator
    label: below
    type: simple
    type_params: { measure: top_score_rate_denominator }
"""
