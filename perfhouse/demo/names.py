"""Names of the demo's people: invented from lists, Chinese and English.

Nobody here exists; the lists are common family and given names.
"""

from __future__ import annotations

from perfhouse.demo.plan import LONDON, Plan, Site

_FAMILY_ZH = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN_ZH_TEXT = (
    "伟 芳 娜 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀英 霞 平 刚 桂英 建华 文静 志强 晓燕 "
    "海燕 雪梅 思远 子涵 雨桐 浩然 梓萱 俊杰 欣怡 嘉豪 诗琪 宇航 佳怡 天佑"
)
_GIVEN_EN_TEXT = (
    "Oliver Amelia George Isla Harry Ava Noah Mia Jack Grace Leo Freya Arthur Lily Oscar Evie "
    "Theo Ella Freddie Rosie Alfie Sophie Henry Aisha Omar Priya Daniel Chloe Ryan Zara Owen "
    "Fatima Callum Niamh Rhys Eleri Hamish Ailsa Kwame Ngozi"
)
_FAMILY_EN_TEXT = (
    "Smith Jones Taylor Brown Williams Wilson Johnson Davies Patel Wright Walker Robinson "
    "Thompson White Hughes Edwards Green Hall Lewis Harris Clarke Khan Jackson Wood Turner "
    "Martin Cooper Hill Ward Morris Moore Clark Lee King Baker Harrison Morgan Allen O'Neill Begum"
)

_GIVEN_ZH = tuple(_GIVEN_ZH_TEXT.split())
_GIVEN_EN = tuple(_GIVEN_EN_TEXT.split())
_FAMILY_EN = tuple(_FAMILY_EN_TEXT.split())


def full_name(plan: Plan, site: Site, employee_id: str) -> str:
    """Return the display name of a person of this site."""
    one, two = plan.u(employee_id, "family"), plan.u(employee_id, "given")
    if site is LONDON:
        given = _GIVEN_EN[int(two * len(_GIVEN_EN))]
        return f"{given} {_FAMILY_EN[int(one * len(_FAMILY_EN))]}"
    return _FAMILY_ZH[int(one * len(_FAMILY_ZH))] + _GIVEN_ZH[int(two * len(_GIVEN_ZH))]
